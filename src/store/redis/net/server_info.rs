//! What an operator should change about a usable Redis: a warning once in a while, or with
//! `--strict` a reason to refuse it.

use std::collections::HashMap;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisError};

/// The first release whose scripts may declare flags, which ours do.
const OLDEST_MAJOR: u32 = 7;

/// Whether a server of this version is too old to run our scripts.
pub(crate) fn is_too_old(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < OLDEST_MAJOR)
}

/// The server's INFO, if the user may read it.
pub(crate) async fn info(
    connection: &mut MultiplexedConnection,
) -> Result<Option<String>, RedisError> {
    allowed(redis::cmd("INFO").query_async(connection).await)
}

/// The run id of the server's process; each start has another.
pub(crate) fn run_id(info: &str) -> Option<&str> {
    field(info, "run_id").filter(|id| !id.is_empty())
}

/// The faults of the server, one line each. If the user may not read a setting, that counts as a
/// fault only with `strict`.
pub(crate) async fn faults(
    connection: &mut MultiplexedConnection,
    info: Option<&str>,
    strict: bool,
) -> Result<Vec<String>, RedisError> {
    let Some(info) = info else {
        let fault = "the Redis user has no right to INFO, so onetap cannot check eviction and \
                     persistence: allow INFO";
        return Ok(if strict { vec![fault.into()] } else { Vec::new() });
    };
    let mut faults = Vec::new();
    match field(info, "maxmemory_policy") {
        Some("noeviction") => {}
        policy => faults.push(format!(
            "maxmemory-policy is {}: when memory is full, Redis may evict reactions; set it to \
             noeviction",
            policy.unwrap_or("unknown")
        )),
    }
    if field(info, "aof_enabled") != Some("1") {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg("save");
        let settings: Option<HashMap<String, String>> = allowed(ask.query_async(connection).await)?;
        match settings.as_ref().and_then(|settings| settings.get("save")) {
            Some(save) if save.is_empty() => faults.push(
                "Redis keeps nothing over a restart (appendonly no, save \"\"): a restart loses \
                 all reactions; set appendonly yes"
                    .into(),
            ),
            None if strict => faults.push(
                "appendonly is no and the user may not run CONFIG GET save, so that it cannot be \
                 checked whether Redis keeps anything over a restart: set appendonly yes"
                    .into(),
            ),
            _ => {}
        }
    }
    Ok(faults)
}

/// The answer; None if the server does not let this user ask. Managed services remove CONFIG and
/// answer that there is no such command.
pub(crate) fn allowed<T>(answer: Result<T, RedisError>) -> Result<Option<T>, RedisError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A field of INFO.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_older_than_7_is_too_old() {
        for version in ["6.2.14", "6.0", "5.0.7", "2.8"] {
            assert!(is_too_old(version), "{version}");
        }
        for version in ["7.0.0", "7.0.15", "8.2.1", "9.1.2", "10.0", "255.255.255", ""] {
            assert!(!is_too_old(version), "{version}");
        }
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let info = "# Memory\r\nxmaxmemory_policy:a\r\nmaxmemory_policy:noeviction\r\nlast:1\r\n";
        assert_eq!(field(info, "maxmemory_policy"), Some("noeviction"));
        assert_eq!(field(info, "maxmemory"), None);
        assert_eq!(field(info, "last"), Some("1"));
    }
}
