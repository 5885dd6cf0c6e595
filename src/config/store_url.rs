//! `--store` and the flags that belong to one kind of store.

use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;

use super::{ConfigError, ServeArgs, StoreConfig};
use crate::store::Retention;
use crate::store::file::FileOptions;
use crate::store::redis::{
    Address, CredentialFiles, InvalidAddress, RedisOptions, RedisSource, Secret, password_in,
};

const DEFAULT_KEY_PREFIX: &str = "ot";
const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 1000;
const DEFAULT_QUEUE_CALLS: u32 = 10_000;
const DEFAULT_QUEUE_TAPS: u32 = 10_000;
const DEFAULT_CACHE_MIB: u32 = 128;
const DEFAULT_MEMORY_MAX: ByteSize = ByteSize::gib(1);

/// The variable for the password. It has no flag: whoever may list processes would see it.
pub(super) const PASSWORD_VARIABLE: &str = "ONETAP_REDIS_PASSWORD";

pub(super) fn store(args: &ServeArgs, retention: Retention) -> Result<StoreConfig, ConfigError> {
    if args.store == "memory:" {
        refuse(REDIS_FLAGS, args, "memory:")?;
        refuse(FILE_FLAGS, args, "memory:")?;
        let most = args.memory_max.unwrap_or(DEFAULT_MEMORY_MAX);
        return if args.strict { Err(not_strict()) } else { Ok(StoreConfig::Memory(most)) };
    }
    refuse(MEMORY_FLAGS, args, "file: or redis:")?;
    if let Some(path) = args.store.strip_prefix("file:") {
        refuse(REDIS_FLAGS, args, "file:")?;
        return file(path, args, retention);
    }
    refuse(FILE_FLAGS, args, "redis:")?;
    redis(args, retention).map(|options| StoreConfig::Redis(Box::new(options)))
}

fn file(path: &str, args: &ServeArgs, retention: Retention) -> Result<StoreConfig, ConfigError> {
    if path.is_empty() {
        return Err(ConfigError("--store file: names no file; say file:PATH".into()));
    }
    // Not a URL: the slashes would be taken for the root of the file system.
    if let Some(rest) = path.strip_prefix("//") {
        let meant = match rest.trim_start_matches('/') {
            "" => "PATH".to_owned(),
            name if rest.len() == name.len() => name.to_owned(),
            name => format!("/{name}"),
        };
        return Err(ConfigError(format!("--store `file:{path}` is no path: `file:{meant}`?")));
    }
    let cache_mib = args.file_cache_mib.unwrap_or(DEFAULT_CACHE_MIB) as usize;
    let options = FileOptions {
        queue_bound: args.file_queue_taps.unwrap_or(DEFAULT_QUEUE_TAPS) as usize,
        cache_bytes: cache_mib << 20,
        retention,
    };
    Ok(StoreConfig::File(path.into(), options))
}

fn redis(args: &ServeArgs, retention: Retention) -> Result<RedisOptions, ConfigError> {
    let mut address: Address = args.store.parse().map_err(|why: InvalidAddress| {
        if let Some(meant) = meant(&args.store) {
            return ConfigError(format!(
                "--store `{}` names no kind of store: `{meant}`?",
                args.store
            ));
        }
        // The value may hold a password, so it is not repeated.
        let why = foreign_kind(&args.store).unwrap_or_else(|| why.to_string());
        ConfigError(format!(
            "--store: {why}; give `file:PATH`, `memory:`, `redis[s]://host[:port][/database]`, \
             `redis[s]+sentinel://host[:port],…/name[/database]` or \
             `redis[s]+cluster://host[:port],…`"
        ))
    })?;
    add_credentials(args, &mut address)?;
    let key_prefix = args.key_prefix.as_deref().unwrap_or(DEFAULT_KEY_PREFIX);
    check_prefix(key_prefix)?;
    let timeout = args.redis_connect_timeout_ms.unwrap_or(DEFAULT_CONNECT_TIMEOUT_MS);
    let options = RedisOptions {
        ca: ca(args, &address)?,
        files: CredentialFiles {
            password: args.redis_password_file.clone(),
            ca: args.redis_ca_file.clone(),
        },
        address,
        strict: args.strict,
        key_prefix: key_prefix.to_owned(),
        connect_timeout: Duration::from_millis(timeout),
        queue_bound: args.redis_queue_calls.unwrap_or(DEFAULT_QUEUE_CALLS) as usize,
        retention,
    };
    RedisSource::new(&options).map_err(|why| ConfigError(format!("--redis-ca-file: {why}")))?;
    Ok(options)
}

/// The kind of store that is named, if onetap has none such: never more than a plain word.
fn foreign_kind(store: &str) -> Option<String> {
    let (kind, _) = store.split_once(':')?;
    let plain = (1..=16).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_alphanumeric());
    let ours = kind.starts_with("redis") || matches!(kind, "file" | "memory");
    (plain && !ours).then(|| format!("onetap keeps no reactions in `{kind}:`"))
}

/// What may have been meant by a name, a path or a host alone. Nothing that may hold a password.
fn meant(store: &str) -> Option<String> {
    if store.trim_end_matches(['/', ':']).eq_ignore_ascii_case("memory") {
        return Some("memory:".into());
    }
    if store.contains("://") || store.contains('@') {
        return None;
    }
    if store.contains(':') || store == "localhost" {
        let redis = format!("redis://{store}");
        return redis.parse::<Address>().is_ok().then_some(redis);
    }
    let is_path = store.contains('/') || store.ends_with(".redb");
    is_path.then(|| format!("file:{store}"))
}

/// Adds the user and the password that are given beside the address.
fn add_credentials(args: &ServeArgs, address: &mut Address) -> Result<(), ConfigError> {
    let twice = |what: &str| Err(ConfigError(format!("{what} is given twice: give it once")));
    if let Some(username) = &args.redis_username
        && address.username.replace(username.clone()).is_some()
    {
        return twice("the user name for Redis");
    }
    let by_file =
        args.redis_password_file.as_deref().map(|path| password_in(path).map_err(ConfigError));
    // An empty variable is as good as none, here as for the flags.
    let by_variable = std::env::var_os(PASSWORD_VARIABLE).filter(|text| !text.is_empty());
    let by_variable = by_variable.map(|text| {
        let not_unicode = |_| ConfigError(format!("{PASSWORD_VARIABLE} is not UTF-8"));
        text.into_string().map(Secret::new).map_err(not_unicode)
    });
    for given in [by_file, by_variable].into_iter().flatten() {
        if address.password.replace(given?).is_some() {
            return twice("the password for Redis");
        }
    }
    if address.username.is_some() && address.password.is_none() {
        return Err(ConfigError(format!(
            "there is a user name for Redis and no password: give one in --redis-password-file or \
             {PASSWORD_VARIABLE}"
        )));
    }
    Ok(())
}

fn ca(args: &ServeArgs, address: &Address) -> Result<Option<Vec<u8>>, ConfigError> {
    let Some(path) = &args.redis_ca_file else { return Ok(None) };
    if !address.tls {
        return Err(ConfigError(
            "--redis-ca-file means nothing without TLS: --store rediss://…, or drop it".into(),
        ));
    }
    read("--redis-ca-file", path).map(|text| Some(text.into_bytes()))
}

fn read(flag: &str, path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        ConfigError(format!(
            "{flag} {}: {error}; name a text file that can be read",
            path.display()
        ))
    })
}

fn not_strict() -> ConfigError {
    ConfigError(
        "--strict wants a store that keeps reactions, and memory: does not: use --store \
         file:PATH or redis://…, or drop --strict"
            .into(),
    )
}

/// Flags that mean something to one kind of store only, and whether they are given.
type Flags = &'static [(&'static str, fn(&ServeArgs) -> bool)];

const REDIS_FLAGS: Flags = &[
    ("--key-prefix", |args| args.key_prefix.is_some()),
    ("--redis-username", |args| args.redis_username.is_some()),
    ("--redis-password-file", |args| args.redis_password_file.is_some()),
    ("--redis-ca-file", |args| args.redis_ca_file.is_some()),
    ("--redis-connect-timeout-ms", |args| args.redis_connect_timeout_ms.is_some()),
    ("--redis-queue-calls", |args| args.redis_queue_calls.is_some()),
];
const MEMORY_FLAGS: Flags = &[("--memory-max", |args| args.memory_max.is_some())];
const FILE_FLAGS: Flags = &[
    ("--file-queue-taps", |args| args.file_queue_taps.is_some()),
    ("--file-cache-mib", |args| args.file_cache_mib.is_some()),
];

fn refuse(flags: Flags, args: &ServeArgs, store: &str) -> Result<(), ConfigError> {
    match flags.iter().find(|(_, given)| given(args)) {
        None => Ok(()),
        Some((flag, _)) => Err(ConfigError(format!(
            "{flag} means nothing to --store {store} (drop it, or use another store)"
        ))),
    }
}

/// Keys and patterns are made with the prefix, so it holds nothing that means something in either.
fn check_prefix(prefix: &str) -> Result<(), ConfigError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if (1..=32).contains(&prefix.len()) && prefix.bytes().all(plain) {
        Ok(())
    } else {
        Err(ConfigError("--key-prefix is 1 to 32 of a-z A-Z 0-9 _ - .".into()))
    }
}
