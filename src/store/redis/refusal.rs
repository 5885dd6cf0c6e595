//! What an error from Redis means for what was sent.

use deadpool_redis::redis::RedisError;

/// Codes with which Redis says that it did not run the command. Only these may be answered as
/// "nothing was applied" once a command has been handed to a connection.
const REFUSALS: [&str; 8] =
    ["NOSCRIPT", "NOAUTH", "WRONGPASS", "NOPERM", "NOREPLICAS", "MISCONF", "OOM", "CROSSSLOT"];

/// The same, where the cause goes by within the time that a call has, or another connection has it
/// not.
const PASSING: [&str; 8] =
    ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY"];

/// Refusals after which this connection will refuse everything: a demoted primary looks healthy
/// and answers READONLY for ever. Another connection may reach a better server.
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

/// What an error says about the calls of a batch that had been handed to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// None was run, and another attempt may do better.
    Passing,
    /// None was run, and another attempt would do no better.
    Refused,
    /// They may have been run, whole or not at all: no answer of the server came.
    Lost,
    /// They may have been run in part.
    BrokeOff,
}

pub(super) fn verdict(error: &RedisError) -> Verdict {
    match error.code() {
        // Whatever its code: what it says is of a command in the script, not of the script.
        _ if broke_off(error) => Verdict::BrokeOff,
        Some(code) if PASSING.contains(&code) => Verdict::Passing,
        Some(code) if REFUSALS.contains(&code) => Verdict::Refused,
        Some(_) => Verdict::BrokeOff,
        None => Verdict::Lost,
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{Value, parse_redis_value};

    use super::*;

    fn told(line: &str) -> Verdict {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes());
        match value.and_then(Value::extract_error) {
            Err(error) => verdict(&error),
            Ok(value) => panic!("no error: {value:?}"),
        }
    }

    #[test]
    fn a_refusal_of_a_command_in_a_script_is_no_refusal_of_the_script() {
        assert_eq!(told("NOPERM no permission to run the 'evalsha' command"), Verdict::Refused);
        assert_eq!(told("READONLY You can't write against a read only replica."), Verdict::Passing);
        assert_eq!(told("ERR something else"), Verdict::BrokeOff);
        for code in ["ERR", "NOPERM", "OOM", "READONLY"] {
            let line = format!("{code} not allowed script: abc, on @user_script:12.");
            assert_eq!(told(&line), Verdict::BrokeOff, "{line}");
        }
    }
}
