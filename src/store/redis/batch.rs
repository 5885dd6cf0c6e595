//! One script call for many items: laid out, sent, and its reply handed to those who wait.

use std::sync::Arc;
use std::time::Duration;

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

/// What one script call may do before it answers that the rest was not read: about half a
/// millisecond of Redis' time. It does nothing else meanwhile, for nobody.
const READ_WORK: u32 = 600;

/// For how long a server has to have said nothing at all before it is taken for silent. Calls may
/// have been sent in the last moment of their time, and then their end says nothing of it.
const SILENT: Duration = Duration::from_millis(250);

/// Calls that come back.
#[derive(Debug, Default)]
pub(super) struct Back {
    /// They were not run at all: the next call takes them at once.
    pub(super) next: Vec<Call>,
    /// They were refused, or nobody knows; another attempt may do better.
    pub(super) again: Vec<Call>,
    /// How many a call of reads came to, if it did not come to the end.
    pub(super) read: Option<usize>,
}

impl Back {
    fn again(calls: impl Iterator<Item = Call>) -> Self {
        Self { again: calls.collect(), ..Self::default() }
    }
}

impl Batch {
    /// Sends the calls and sees that each gets its answer, by its deadline at the latest. Those
    /// that may be sent again come back.
    pub(super) async fn run(self) -> Back {
        let Self { script, calls, shared, connection } = self;
        shared.stats.batches_sent.add(1);
        shared.stats.calls_sent.add(calls.len() as u64);
        let cmd = encode(script, &calls, &shared, &connection.clock);
        // A call that was answered before the reply came leaves an empty place.
        let mut waiting: Vec<Option<Call>> = calls.into_iter().map(Some).collect();

        connection.health.asked();
        let sending = send(&cmd, script, connection.multiplexed.clone(), &shared);
        let replaced = connection.standing.until_lost();
        tokio::pin!(sending, replaced);
        let reply = loop {
            let Some(next) = waiting.iter().flatten().map(|call| call.deadline.0).min() else {
                if connection.health.unanswered_for() >= SILENT {
                    connection.health.mark_broken("no reply by the deadline of any call", false);
                }
                return Back::default();
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

        if reply.is_some() {
            connection.health.answered();
        }
        // What has been replaced is not listened to: others may have heard newer things.
        match reply.filter(|reply| reply.is_err() || connection.standing.holds()) {
            None => Back::again(waiting.into_iter().flatten().filter_map(doubt)),
            Some(Ok(value)) => {
                if matches!(script, Script::Toggle | Script::Set) {
                    shared.call_warnings.settled("taps are counted again");
                }
                deliver(value, script, waiting, &shared, &connection)
            }
            Some(Err(error)) => {
                // Rights may have been taken away: they are looked at before more is half written.
                let broke_off = script.writes() && refusal::broke_off(&error);
                if broke_off || refusal::breaks_connection(&error) {
                    connection.health.mark_broken(&error.to_string(), error.code().is_some());
                }
                let calls = waiting.into_iter().flatten();
                if script == Script::Unset && refusal::is_full(&error) {
                    return Back {
                        next: calls.map(Call::for_full_memory).collect(),
                        ..Back::default()
                    };
                }
                shared.call_warnings.about(&format!("a call to Redis failed: {error}"));
                Back::again(calls.filter_map(|call| after_error(call, &error)))
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
            .arg(shared.record_retention_millis)
            .arg(shared.change_log_entries);
    } else {
        cmd.arg(READ_WORK);
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

/// Gives each call its elements of the reply. Those come back that were not read, and those that
/// were refused for a wrong notion of the store's clock: the reply has put it right. So do those
/// that may not look at a key that is on its way to another node of a cluster.
fn deliver(
    value: Value,
    script: Script,
    waiting: Vec<Option<Call>>,
    shared: &Shared,
    connection: &Connection,
) -> Back {
    let answers = script.shape().answers;
    let mut back = Back::default();
    let passing = |elements: &[Value]| {
        reply::is_out_of_time(elements)
            || shared.connector.cluster().is_some() && reply::is_refused_look(elements)
    };
    match reply::split(value, answers, waiting.len()) {
        Ok((clock, elements)) => {
            connection.clock.learn(clock);
            let items = waiting.into_iter().zip(elements.chunks(answers));
            for (i, (call, elements)) in items.enumerate() {
                let not_read = !script.writes() && reply::is_not_read(elements);
                if not_read {
                    back.read.get_or_insert(i);
                }
                let Some(call) = call else { continue };
                if not_read {
                    back.next.push(call);
                } else if passing(elements) && !call.deadline.has_passed() {
                    back.again.push(call);
                } else {
                    call.answer(elements, &shared.answer_warnings);
                }
            }
        }
        Err(reply::Unreadable) => {
            let warnings = &shared.answer_warnings;
            waiting.into_iter().flatten().for_each(|call| call.answer_unreadable(warnings));
        }
    }
    back
}
