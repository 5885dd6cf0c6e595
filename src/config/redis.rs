//! `[redis]`: what only a Redis needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::store::StoreSection;
use super::{ConfigError, InvalidSetting, units};
use crate::store::Retention;
use crate::store::redis::{
    Address, CredentialFiles, RedisOptions, RedisSource, Secret, password_in,
};

/// The variable of the password. There is no flag: everyone who may list processes would see it.
pub(super) const PASSWORD_VARIABLE: &str = "ONETAP_REDIS_PASSWORD";

/// What only a Redis needs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "redis")]
pub struct RedisConfig {
    /// What every key in Redis begins with
    #[arg(long, default_value = "ot", value_name = "PREFIX", value_parser = prefix)]
    pub key_prefix: String,

    /// User name for Redis (ACL) [default: Redis' default user]
    #[arg(long, value_name = "USER")]
    pub redis_username: Option<String>,

    /// A file with the password for Redis; onetap reads it again for each connection
    ///
    /// Or else the variable `ONETAP_REDIS_PASSWORD` holds the password.
    #[arg(long, value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,

    /// With TLS: a PEM file with the certificate authority of Redis [default: the system's
    /// certificates]
    ///
    /// onetap reads it again for each connection.
    #[arg(long, value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,

    /// The most time to open a connection to Redis
    #[arg(long, alias = "redis-connect-timeout-ms", default_value = "1s",
          value_name = "DURATION", value_parser = units::timeout)]
    pub redis_connect_timeout: Duration,

    /// The most taps and reads that wait on one connection to Redis; more get 503 `overloaded`
    #[arg(long, default_value = "10000", value_parser = units::count(1..=u32::MAX))]
    pub redis_queue_calls: u32,
}

impl RedisConfig {
    pub(super) fn options(
        &self,
        mut address: Address,
        store: &StoreSection,
        retention: Retention,
    ) -> Result<RedisOptions, ConfigError> {
        self.add_credentials(&mut address)?;
        let options = RedisOptions {
            ca: self.ca(&address)?,
            files: CredentialFiles {
                password: self.redis_password_file.clone(),
                ca: self.redis_ca_file.clone(),
            },
            address,
            strict: store.strict,
            user_ids: store.user_ids,
            key_prefix: self.key_prefix.clone(),
            connect_timeout: self.redis_connect_timeout,
            queue_bound: self.redis_queue_calls as usize,
            retention,
        };
        RedisSource::new(&options)
            .map_err(|why| ConfigError::told("--redis-ca-file", &why.to_string()))?;
        Ok(options)
    }

    /// Adds the user name and the password that other settings give.
    fn add_credentials(&self, address: &mut Address) -> Result<(), ConfigError> {
        let twice = |key: &str, what: &str| {
            let hint = "give it once: here, or in the address";
            Err(ConfigError::new(key, format!("the {what} for Redis is given twice"), hint))
        };
        if let Some(username) = &self.redis_username
            && address.username.replace(username.clone()).is_some()
        {
            return twice("--redis-username", "user name");
        }
        const FILE: &str = "--redis-password-file";
        if let Some(path) = &self.redis_password_file {
            let password = password_in(path).map_err(|text| {
                let key = format!("{FILE} {}", path.display());
                let why = text.strip_prefix(&key).and_then(|rest| rest.strip_prefix(": "));
                ConfigError::told(key.clone(), why.unwrap_or(&text))
            })?;
            if address.password.replace(password).is_some() {
                return twice(FILE, "password");
            }
        }
        if let Some(password) = password_variable()?
            && address.password.replace(password).is_some()
        {
            return twice(PASSWORD_VARIABLE, "password");
        }
        if address.username.is_some() && address.password.is_none() {
            let by_flag = self.redis_username.is_some();
            return Err(ConfigError::new(
                if by_flag { "--redis-username" } else { "--store" },
                "there is a user name for Redis and no password",
                format!("give the password in {FILE} or {PASSWORD_VARIABLE}"),
            ));
        }
        Ok(())
    }

    fn ca(&self, address: &Address) -> Result<Option<Vec<u8>>, ConfigError> {
        const FLAG: &str = "--redis-ca-file";
        let Some(path) = &self.redis_ca_file else { return Ok(None) };
        if !address.tls {
            return Err(ConfigError::new(
                FLAG,
                "it means nothing without TLS",
                "use --store rediss://…, or drop it",
            ));
        }
        read(FLAG, path).map(|text| Some(text.into_bytes()))
    }
}

/// The password of the variable. An empty variable counts as unset.
pub(super) fn password_variable() -> Result<Option<Secret>, ConfigError> {
    let Some(text) = std::env::var_os(PASSWORD_VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = text.into_string();
    let not_text = |_| ConfigError::new(PASSWORD_VARIABLE, "it is not UTF-8", "write it in UTF-8");
    text.map(|text| Some(Secret::new(text))).map_err(not_text)
}

fn read(flag: &str, path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let key = format!("{flag} {}", path.display());
        ConfigError::new(key, error.to_string(), "name a text file that can be read")
    })
}

/// Keys and patterns contain the prefix, so it may have no character with a meaning in either.
fn prefix(text: &str) -> Result<String, InvalidSetting> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    let problem = format!("`{text}` cannot begin the keys in Redis");
    Err(InvalidSetting::new(problem, "write 1 to 32 of a-z A-Z 0-9 _ - ."))
}
