//! What an error from Redis means for the calls that it answers.

use deadpool_redis::redis::RedisError;

/// Redis did not run the command. Only these codes may become "nothing was applied" after the lane
/// has handed the command to a connection.
const REFUSALS: [&str; 8] =
    ["NOSCRIPT", "NOAUTH", "WRONGPASS", "NOPERM", "NOREPLICAS", "MISCONF", "OOM", "CROSSSLOT"];

/// The same, but the cause may pass within the deadline, or another connection may be free of it.
const PASSING: [&str; 8] =
    ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY"];

/// Refusals that this connection will repeat: a demoted primary looks healthy and answers READONLY
/// for ever. Another connection may reach a better server.
const STUCK: [&str; 3] = ["READONLY", "MASTERDOWN", "NOAUTH"];

/// Whether the server does not know the script.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// Whether the script was not run because memory is full.
pub(super) fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM") && !broke_off(error)
}

/// Whether the connection has to be replaced.
pub(super) fn breaks_connection(error: &RedisError) -> bool {
    match error.code() {
        Some(code) => STUCK.contains(&code),
        // Not an answer of the server: an IO error, a time-out, a reply that could not be parsed.
        None => true,
    }
}

/// Whether a script had begun when it failed, so that it may have written already.
pub(super) fn broke_off(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("on @user_script:"))
}

/// What an error says about the calls of a batch that the lane has handed to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// None ran, and another attempt may do better.
    Passing,
    /// None ran, and another attempt would do no better.
    Refused,
    /// Each ran as a whole or not at all: no answer of the server came.
    Lost,
    /// They may have run in part.
    BrokeOff,
}

pub(super) fn classify(error: &RedisError) -> ErrorClass {
    match error.code() {
        // Whatever its code: the error is of a command in the script, which had begun.
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
