//! `--store` and the flags that belong to one kind of store.

use std::time::Duration;

use super::{ConfigError, ServeArgs, StoreConfig};
use crate::store::Retention;
use crate::store::redis::{RedisOptions, RedisSource};

const DEFAULT_KEY_PREFIX: &str = "ot";
const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 1000;
const DEFAULT_QUEUE_CALLS: u32 = 10_000;

pub(super) fn store(args: &ServeArgs, retention: Retention) -> Result<StoreConfig, ConfigError> {
    if args.store == "memory:" {
        return refuse_redis_flags(args).map(|()| StoreConfig::Memory);
    }
    if !args.store.starts_with("redis://") {
        // The value may hold a password, so it is not repeated.
        return Err(ConfigError(
            "--store is neither `memory:` nor `redis://[user:password@]host[:port][/database]`"
                .into(),
        ));
    }
    let key_prefix = args.key_prefix.as_deref().unwrap_or(DEFAULT_KEY_PREFIX);
    check_prefix(key_prefix)?;
    let timeout = args.redis_connect_timeout_ms.unwrap_or(DEFAULT_CONNECT_TIMEOUT_MS);
    let options = RedisOptions {
        url: args.store.clone(),
        key_prefix: key_prefix.to_owned(),
        connect_timeout: Duration::from_millis(timeout),
        queue_bound: args.redis_queue_calls.unwrap_or(DEFAULT_QUEUE_CALLS) as usize,
        retention,
    };
    let form = "redis://[user:password@]host[:port][/database]";
    let odd = args.store.contains(['?', '#']) || args.store.contains("/-");
    if odd || RedisSource::new(&options).is_err() {
        return Err(ConfigError(format!("--store is not of the form {form}")));
    }
    Ok(StoreConfig::Redis(options))
}

fn refuse_redis_flags(args: &ServeArgs) -> Result<(), ConfigError> {
    let given = [
        ("--key-prefix", args.key_prefix.is_some()),
        ("--redis-connect-timeout-ms", args.redis_connect_timeout_ms.is_some()),
        ("--redis-queue-calls", args.redis_queue_calls.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => Err(ConfigError(format!(
            "{flag} means nothing to --store memory: (drop it, or use --store redis://…)"
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

/// The address with the user and password, if any, blotted out.
pub(super) fn without_secrets(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("redis://***@{host}"),
        None => url.to_owned(),
    }
}
