//! What an error from Redis means for what was sent.

use deadpool_redis::redis::RedisError;

use crate::store::StoreError;

/// Codes with which Redis says that it did not run the command. Only these may be answered as
/// "nothing was applied" once a command has been handed to a connection.
const REFUSALS: [&str; 16] = [
    "NOSCRIPT",
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "NOREPLICAS",
    "MISCONF",
    "BUSY",
    "OOM",
    "CROSSSLOT",
];

/// Refusals after which this connection will refuse everything: a demoted primary looks healthy
/// and answers READONLY for ever. Another connection may reach a better server.
const STUCK: [&str; 4] = ["READONLY", "MASTERDOWN", "NOAUTH", "CLUSTERDOWN"];

/// Whether the server does not know the script.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// Whether the connection has to be replaced.
pub(super) fn breaks_connection(error: &RedisError) -> bool {
    match error.code() {
        Some(code) => STUCK.contains(&code),
        // Not an answer of the server: an IO error, a time-out, a reply that could not be parsed.
        None => true,
    }
}

/// What the caller is told about a command that had been handed to a connection.
pub(super) fn meaning(error: &RedisError, writes: bool) -> StoreError {
    let refused = error.code().is_some_and(|code| REFUSALS.contains(&code));
    if refused || !writes {
        StoreError::Unavailable(error.to_string())
    } else {
        StoreError::OutcomeUnknown
    }
}
