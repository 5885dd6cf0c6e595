//! Classifies an error from Redis: did the calls of the batch run, and may they run again?

use deadpool_redis::redis::RedisError;

/// Redis did not run the command. Only these codes may become "nothing was applied" after the lane
/// has handed the command to a connection.
const REFUSALS: [&str; 8] =
    ["NOSCRIPT", "NOAUTH", "WRONGPASS", "NOPERM", "NOREPLICAS", "MISCONF", "OOM", "CROSSSLOT"];

/// The same, but the cause may pass within the deadline, or another connection may not have it.
const PASSING: [&str; 8] =
    ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY"];

/// Errors that this connection will repeat. A demoted primary looks healthy and answers READONLY
/// for ever; another connection may reach a better server.
const STUCK: [&str; 3] = ["READONLY", "MASTERDOWN", "NOAUTH"];

/// Whether the server does not know the script.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// Whether Redis did not run the script because memory is full.
pub(super) fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM") && !broke_off(error)
}

/// Whether the lane must replace the connection.
pub(super) fn breaks_connection(error: &RedisError) -> bool {
    match error.code() {
        Some(code) => STUCK.contains(&code),
        // Not a reply of the server: an IO error, a timeout, or an unreadable reply.
        None => true,
    }
}

/// Whether a script failed after it had begun, so that it may have written.
pub(super) fn broke_off(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("on @user_script:"))
}

/// What an error means for the calls of a batch that the lane has handed to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// No call ran, and a retry may succeed.
    Passing,
    /// No call ran, and a retry would fail too.
    Refused,
    /// No reply came: each call ran as a whole or not at all.
    Lost,
    /// The calls may have run in part.
    BrokeOff,
}

pub(super) fn classify(error: &RedisError) -> ErrorClass {
    match error.code() {
        // Checked before the code: the error is of a command inside the script, which had begun.
        _ if broke_off(error) => ErrorClass::BrokeOff,
        Some(code) if PASSING.contains(&code) => ErrorClass::Passing,
        Some(code) if REFUSALS.contains(&code) => ErrorClass::Refused,
        Some(_) => ErrorClass::BrokeOff,
        None => ErrorClass::Lost,
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{Value, parse_redis_value};

    use super::*;

    fn told(line: &str) -> ErrorClass {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes());
        match value.and_then(Value::extract_error) {
            Err(error) => classify(&error),
            Ok(value) => panic!("no error: {value:?}"),
        }
    }

    #[test]
    fn a_refusal_of_a_command_in_a_script_is_no_refusal_of_the_script() {
        assert_eq!(told("NOPERM no permission to run the 'evalsha' command"), ErrorClass::Refused);
        assert_eq!(
            told("READONLY You can't write against a read only replica."),
            ErrorClass::Passing
        );
        assert_eq!(told("ERR something else"), ErrorClass::BrokeOff);
        for code in ["ERR", "NOPERM", "OOM", "READONLY"] {
            let line = format!("{code} not allowed script: abc, on @user_script:12.");
            assert_eq!(told(&line), ErrorClass::BrokeOff, "{line}");
        }
    }
}
