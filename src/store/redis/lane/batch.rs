//! One script call for many calls: builds it, sends it, and answers the callers.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Arg, Cmd, RedisError, Value};
use tokio::time::Instant;

use super::call::Call;
use super::clock::StoreClock;
use super::context::LaneContext;
use super::error_class::{self, ErrorClass};
use super::link::Link;
use super::metrics::Share;
use crate::domain::Partition;
use crate::store::StoreError;
use crate::store::redis::ops::{
    self, ArgWriter, BatchFrame, Effect, KeyWriter, Script, Unreadable, is_late, is_not_read,
    is_refused,
};

/// Calls for one script.
pub(super) struct Batch {
    pub(super) script: &'static Script,
    /// In a cluster: the partition of all calls.
    pub(super) partition: Option<Partition>,
    pub(super) calls: Vec<Call>,
    pub(super) context: Arc<LaneContext>,
    pub(super) link: Arc<Link>,
}

/// After this long without a reply the server counts as silent. A missed deadline alone does not
/// show that: the lane may have sent the call just before it.
const SILENT: Duration = Duration::from_millis(250);

/// Calls that come back unanswered.
#[derive(Debug, Default)]
pub(super) struct Returned {
    /// They did not run: the next batch takes them at once.
    pub(super) next: Vec<Call>,
    /// The server refused them, or their outcome is unknown. A retry may succeed.
    pub(super) again: Vec<Call>,
    /// How many items a reading script read, if it did not read all.
    pub(super) read: Option<usize>,
}

impl Returned {
    fn again(calls: impl Iterator<Item = Call>) -> Self {
        Self { again: calls.collect(), ..Self::default() }
    }
}

impl Batch {
    /// Sends the calls, and answers each by its deadline. Returns the calls to retry.
    pub(super) async fn run(self) -> Returned {
        let Self { script, calls, context, link, .. } = self;
        let (stats, connection) = (&context.stats, &link.connection);
        stats.batches_sent.add(1);
        stats.calls_sent.add(calls.len() as u64);
        let mut in_flight = Share::new(stats, |stats| &stats.in_flight);
        in_flight.set(calls.len());
        let cmd = encode(script, &calls, &context, &link.clock);
        // A call that was answered before the reply leaves an empty slot.
        let mut waiting: Vec<Option<Call>> = calls.into_iter().map(Some).collect();

        let sent = Instant::now();
        connection.health.asked();
        let sending = send(&cmd, script, connection.multiplexed.clone(), &context);
        let replaced = connection.lease.until_lost();
        tokio::pin!(sending, replaced);
        let reply = loop {
            let Some(next) = waiting.iter().flatten().map(|call| call.deadline.0).min() else {
                if connection.health.unanswered_for() >= SILENT {
                    connection.health.mark_broken("no reply by the deadline of any call", false);
                }
                return Returned::default();
            };
            tokio::select! {
                biased;
                reply = &mut sending => break Some(reply),
                () = &mut replaced => break None,
                () = tokio::time::sleep_until(Instant::from_std(next)) => {
                    expire(&mut waiting, script, &context);
                }
            }
        };

        drop(in_flight);
        if reply.is_some() {
            connection.health.answered();
            context.script_times.add(script.name, sent.elapsed());
        }
        // After the first answer from a new primary, onetap never uses the old one again.
        match reply.filter(|reply| reply.is_err() || connection.lease.holds()) {
            None => Returned::again(waiting.into_iter().flatten().filter_map(Call::retry_in_doubt)),
            Some(Ok(value)) => {
                if script.effect == Effect::Adds {
                    context.call_warnings.settled("taps are counted again");
                }
                deliver(value, script, waiting, &context, &link)
            }
            Some(Err(error)) => {
                // Someone may have revoked rights. A new connection checks them before another tap
                // stays half written.
                let broke_off = script.writes() && error_class::broke_off(&error);
                if broke_off || error_class::breaks_connection(&error) {
                    connection.health.mark_broken(&error.to_string(), error.code().is_some());
                }
                let full = error_class::is_full(&error);
                // Each by itself: one that adds must not stop those that remove beside it.
                let (mut next, mut failed) = (Vec::new(), Vec::new());
                for mut call in waiting.into_iter().flatten() {
                    let turned = full && call.turn_to_full_memory();
                    if turned { next.push(call) } else { failed.push(call) }
                }
                if !failed.is_empty() {
                    context.call_warnings.about(&format!("a call to Redis failed: {error}"));
                }
                let again = failed.into_iter().filter_map(|call| after_error(call, &error));
                Returned { next, ..Returned::again(again) }
            }
        }
    }
}

/// Answers a call whose batch failed, unless a retry may succeed.
fn after_error(call: Call, error: &RedisError) -> Option<Call> {
    match error_class::classify(error) {
        ErrorClass::Passing => Some(call),
        ErrorClass::Lost => call.retry_in_doubt(),
        // A script that broke off may have changed the flag without writing the record.
        ErrorClass::BrokeOff => {
            let unanswered = || StoreError::Unavailable(error.to_string());
            let writes = call.script().writes();
            call.fail(if writes { StoreError::OutcomeUnknown } else { unanswered() });
            None
        }
        ErrorClass::Refused => {
            call.fail(StoreError::Unavailable(error.to_string()));
            None
        }
    }
}

/// Encodes the batch as one EVALSHA: all keys, then the arguments.
fn encode(script: &Script, calls: &[Call], context: &LaneContext, clock: &StoreClock) -> Cmd {
    let shape = script.shape;
    let mut cmd = Cmd::with_capacity(
        3 + shape.shared_args + calls.len() * (shape.keys + 1 + shape.args),
        160 + calls.len() * (shape.keys + 1 + shape.args) * 40,
    );
    let text = &mut String::with_capacity(128);
    let settings = &context.settings;
    cmd.arg("EVALSHA")
        .arg(script.sha())
        .arg(calls.iter().map(|call| call.item.keys()).sum::<usize>());
    for call in calls {
        call.item.write_keys(&mut KeyWriter { cmd: &mut cmd, keys: &settings.keys, text });
    }
    let earliest = calls.iter().map(|call| clock.not_after(call.deadline)).min();
    (script.shared_args)(
        &mut cmd,
        &BatchFrame {
            settings,
            not_after: earliest.unwrap_or_default(),
            not_before: clock.not_before(),
        },
    );
    for call in calls {
        let not_after = clock.not_after(call.deadline);
        call.item.write_args(&mut ArgWriter { cmd: &mut cmd, text }, not_after);
    }
    cmd
}

/// Sends by hash. If the server does not know the script, it ran nothing; then sends the source
/// once. Not SCRIPT LOAD and the hash again: a flush may come between the two.
async fn send(
    cmd: &Cmd,
    script: &Script,
    mut connection: MultiplexedConnection,
    context: &LaneContext,
) -> Result<Value, RedisError> {
    match cmd.query_async(&mut connection).await {
        Err(error) if error_class::is_unknown_script(&error) => {
            context.stats.scripts_reloaded.add(1);
            as_source(cmd, script).query_async(&mut connection).await
        }
        result => result,
    }
}

fn as_source(by_sha: &Cmd, script: &Script) -> Cmd {
    let mut cmd = Cmd::new();
    cmd.arg("EVAL").arg(script.source);
    for arg in by_sha.args_iter().skip(2) {
        if let Arg::Simple(bytes) = arg {
            cmd.arg(bytes);
        }
    }
    cmd
}

/// Answers the calls whose deadline has passed.
fn expire(waiting: &mut [Option<Call>], script: &Script, context: &LaneContext) {
    for place in waiting {
        if let Some(call) = place.take_if(|call| call.deadline.has_passed()) {
            context.stats.deadlines_missed.add(1);
            call.fail(if script.writes() {
                StoreError::OutcomeUnknown
            } else {
                StoreError::Unavailable("no reply in time".into())
            });
        }
    }
}

/// Gives each call its elements of the reply. A call comes back in three cases: the script did not
/// read it, the script found it late by a clock offset that the reply has corrected, or a key is
/// moving to another node.
fn deliver(
    value: Value,
    script: &Script,
    waiting: Vec<Option<Call>>,
    context: &LaneContext,
    link: &Link,
) -> Returned {
    let answers = script.shape.answers;
    let mut returned = Returned::default();
    let passing = |elements: &[Value]| {
        is_late(elements) || context.connector.cluster().is_some() && is_refused(elements)
    };
    match ops::split(value, answers, waiting.len()) {
        Ok((clock, elements)) => {
            link.clock.learn(clock);
            let items = waiting.into_iter().zip(elements.chunks(answers));
            for (i, (call, elements)) in items.enumerate() {
                let not_read = !script.writes() && is_not_read(elements);
                if not_read {
                    returned.read.get_or_insert(i);
                }
                let Some(call) = call else { continue };
                if not_read {
                    returned.next.push(call);
                } else if passing(elements) && !call.deadline.has_passed() {
                    returned.again.push(call);
                } else {
                    call.answer(Some(elements), &context.answer_warnings);
                }
            }
        }
        Err(Unreadable) => {
            let warnings = &context.answer_warnings;
            waiting.into_iter().flatten().for_each(|call| call.answer(None, warnings));
        }
    }
    returned
}
