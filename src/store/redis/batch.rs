//! One script call for many items: laid out, sent, and its reply handed to those who wait.

use std::sync::Arc;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Arg, Cmd, RedisError, Value};
use tokio::time::Instant;

use super::call::Call;
use super::clock::StoreClock;
use super::connection::Connection;
use super::refusal::{self, Verdict};
use super::script::Script;
use super::{Shared, reply};
use crate::store::StoreError;

/// Calls for one script on their way.
pub(super) struct Batch {
    pub(super) script: Script,
    pub(super) calls: Vec<Call>,
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Arc<Connection>,
}

impl Batch {
    /// Sends the calls and sees that each gets its answer, by its deadline at the latest. Those
    /// that may be sent again come back.
    pub(super) async fn run(self) -> Vec<Call> {
        let Self { script, calls, shared, connection } = self;
        shared.stats.batches_sent.add(1);
        shared.stats.calls_sent.add(calls.len() as u64);
        let cmd = encode(script, &calls, &shared, &connection.clock);
        // A call that was answered before the reply came leaves an empty place.
        let mut waiting: Vec<Option<Call>> = calls.into_iter().map(Some).collect();

        let sending = send(&cmd, script, connection.multiplexed.clone(), &shared);
        let replaced = connection.standing.until_lost();
        tokio::pin!(sending, replaced);
        let reply = loop {
            let Some(next) = waiting.iter().flatten().map(|call| call.deadline.0).min() else {
                connection.health.mark_broken("no reply by the deadline of any call", false);
                return Vec::new();
            };
            tokio::select! {
                biased;
                reply = &mut sending => break Some(reply),
                () = &mut replaced => break None,
                () = tokio::time::sleep_until(Instant::from_std(next)) => {
                    expire(&mut waiting, script, &shared);
                }
            }
        };

        // What has been replaced is not listened to: others may have heard newer things.
        match reply.filter(|reply| reply.is_err() || connection.standing.holds()) {
            None => waiting.into_iter().flatten().filter_map(doubt).collect(),
            Some(Ok(value)) => deliver(value, script, waiting, &shared, &connection),
            Some(Err(error)) => {
                // Rights may have been taken away: they are looked at before more is half written.
                let broke_off = script.writes() && refusal::broke_off(&error);
                if broke_off || refusal::breaks_connection(&error) {
                    connection.health.mark_broken(&error.to_string(), error.code().is_some());
                }
                shared.complaints.about(&format!("a call to Redis failed: {error}"));
                let calls = waiting.into_iter().flatten();
                calls.filter_map(|call| after_error(call, &error)).collect()
            }
        }
    }
}

/// Answers a call of which nobody knows what became, unless it may be sent again.
fn doubt(mut call: Call) -> Option<Call> {
    if call.is_repeatable() {
        call.in_doubt = true;
        return Some(call);
    }
    call.fail(StoreError::OutcomeUnknown);
    None
}

/// Answers a call whose batch failed, unless it may be sent again.
fn after_error(call: Call, error: &RedisError) -> Option<Call> {
    match refusal::verdict(error) {
        Verdict::Passing => Some(call),
        Verdict::Lost => doubt(call),
        // A script that broke off may have flipped the flag, and left no record to say so.
        Verdict::BrokeOff => {
            let unanswered = || StoreError::Unavailable(error.to_string());
            let writes = call.script().writes();
            call.fail(if writes { StoreError::OutcomeUnknown } else { unanswered() });
            None
        }
        Verdict::Refused => {
            call.fail(StoreError::Unavailable(error.to_string()));
            None
        }
    }
}

/// The whole batch as one EVALSHA: all keys, then the arguments.
fn encode(script: Script, calls: &[Call], shared: &Shared, clock: &StoreClock) -> Cmd {
    let shape = script.shape();
    let mut cmd = Cmd::with_capacity(
        3 + shape.shared_args + calls.len() * (shape.keys + 1 + shape.args),
        160 + calls.len() * (shape.keys + 1 + shape.args) * 40,
    );
    let mut text = String::with_capacity(128);
    cmd.arg("EVALSHA").arg(script.sha()).arg(calls.iter().map(Call::keys).sum::<usize>());
    for call in calls {
        call.write_keys(&mut cmd, &shared.keys, &mut text);
    }
    if script.writes()
        && let Some(earliest) = calls.iter().map(|call| call.deadline).min()
    {
        cmd.arg(shared.change_log_retention_millis)
            .arg(clock.not_after(earliest))
            .arg(clock.not_before())
            .arg(shared.record_retention_millis);
    }
    for call in calls {
        call.write_args(&mut cmd, clock, &mut text);
    }
    cmd
}

/// Sends by hash; if the server does not know the script, which proves that it ran nothing, once
/// more as source. Not SCRIPT LOAD and again by hash: a flush may fall between the two.
async fn send(
    cmd: &Cmd,
    script: Script,
    mut connection: MultiplexedConnection,
    shared: &Shared,
) -> Result<Value, RedisError> {
    match cmd.query_async(&mut connection).await {
        Err(error) if refusal::is_unknown_script(&error) => {
            shared.stats.scripts_reloaded.add(1);
            as_source(cmd, script).query_async(&mut connection).await
        }
        result => result,
    }
}

fn as_source(by_sha: &Cmd, script: Script) -> Cmd {
    let mut cmd = Cmd::new();
    cmd.arg("EVAL").arg(script.source());
    for arg in by_sha.args_iter().skip(2) {
        if let Arg::Simple(bytes) = arg {
            cmd.arg(bytes);
        }
    }
    cmd
}

/// Answers the calls whose deadline has come.
fn expire(waiting: &mut [Option<Call>], script: Script, shared: &Shared) {
    for place in waiting {
        if let Some(call) = place.take_if(|call| call.deadline.has_passed()) {
            shared.stats.deadlines_missed.add(1);
            call.fail(if script.writes() {
                StoreError::OutcomeUnknown
            } else {
                StoreError::Unavailable("no reply in time".into())
            });
        }
    }
}

/// Gives each call its elements of the reply. Those that were refused for a wrong notion of the
/// store's clock come back: the reply has put it right.
fn deliver(
    value: Value,
    script: Script,
    waiting: Vec<Option<Call>>,
    shared: &Shared,
    connection: &Connection,
) -> Vec<Call> {
    let answers = script.shape().answers;
    let mut again = Vec::new();
    match reply::split(value, answers, waiting.len()) {
        Ok((clock, elements)) => {
            connection.clock.learn(clock);
            for (call, elements) in waiting.into_iter().zip(elements.chunks(answers)) {
                let Some(call) = call else { continue };
                if reply::is_out_of_time(elements) && !call.deadline.has_passed() {
                    again.push(call);
                } else {
                    call.answer(elements, &shared.complaints);
                }
            }
        }
        Err(reply::Unreadable) => {
            let complaints = &shared.complaints;
            waiting.into_iter().flatten().for_each(|call| call.answer_unreadable(complaints));
        }
    }
    again
}
