//! What travels on a lane: one item of a script's batch, and who waits for its answer.

use deadpool_redis::redis::{Cmd, Value};
use tokio::sync::oneshot;

use super::clock::StoreClock;
use super::keys::{Keys, PROBE};
use super::reply::{self, ItemResult, Unreadable};
use super::script::Script;
use crate::domain::{
    Form, Outcome, Partition, Position, PostId, Reaction, Reactor, Summary, Tap, UserId, Verb,
};
use crate::store::{Deadline, StoreError, ThrottledWarnings};

type Waiting<T> = oneshot::Sender<Result<T, StoreError>>;

/// One item and its deadline.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) deadline: Deadline,
    pub(super) item: Item,
    /// How often it was sent and came back.
    pub(super) returns: u8,
    /// Whether it was sent and nobody knows what became of it.
    pub(super) in_doubt: bool,
    /// Whether it is a removal that was refused because memory is full.
    pub(super) when_full: bool,
}

/// What is asked, and where the answer goes.
#[derive(Debug)]
pub(super) enum Item {
    Tap(Tap, Waiting<Outcome>),
    Summary(SummaryItem, Waiting<Summary>),
    Reactors(ReactorsItem, Waiting<Vec<Reactor>>),
    Probe(Partition, Waiting<Outcome>),
}

#[derive(Debug)]
pub(super) struct SummaryItem {
    pub(super) post: PostId,
    pub(super) viewer: Option<UserId>,
    pub(super) recent: usize,
}

#[derive(Debug)]
pub(super) struct ReactorsItem {
    pub(super) post: PostId,
    pub(super) reaction: Option<Reaction>,
    pub(super) after: Option<Position>,
    pub(super) take: usize,
}

impl Call {
    pub(super) fn new(deadline: Deadline, item: Item) -> Self {
        Self { deadline, item, returns: 0, in_doubt: false, when_full: false }
    }

    /// The same call, as it is sent while memory is full.
    pub(super) fn for_full_memory(self) -> Self {
        Self { when_full: true, ..self }
    }

    /// Whether it may run twice and still counts once: a read, or a tap with a record.
    pub(super) fn is_repeatable(&self) -> bool {
        match &self.item {
            Item::Tap(tap, _) => tap.keyed.is_some(),
            Item::Summary(..) | Item::Reactors(..) => true,
            Item::Probe(..) => false,
        }
    }

    /// How many keys it has.
    pub(super) fn keys(&self) -> usize {
        let has_record = match &self.item {
            Item::Tap(tap, _) => tap.keyed.is_some(),
            Item::Probe(..) => true,
            Item::Summary(..) | Item::Reactors(..) => false,
        };
        self.script().shape().keys + usize::from(has_record)
    }

    /// The partition that all its keys are in.
    pub(super) fn partition(&self) -> Partition {
        match &self.item {
            Item::Tap(tap, _) => tap.post.partition(),
            Item::Summary(item, _) => item.post.partition(),
            Item::Reactors(item, _) => item.post.partition(),
            Item::Probe(partition, _) => *partition,
        }
    }

    pub(super) fn script(&self) -> Script {
        match &self.item {
            Item::Tap(tap, _) => match tap.verb {
                Verb::Toggle => Script::Toggle,
                Verb::Set => Script::Set,
                Verb::Unset if self.when_full => Script::UnsetFull,
                Verb::Unset => Script::Unset,
            },
            Item::Summary(..) => Script::Summary,
            Item::Reactors(..) => Script::Reactors,
            Item::Probe(..) => Script::Probe,
        }
    }

    /// Appends the item's keys to `cmd`, spelling them in `key`.
    pub(super) fn write_keys(&self, cmd: &mut Cmd, keys: &Keys, key: &mut String) {
        match &self.item {
            Item::Tap(tap, _) => {
                keys.write_post(key, &tap.post);
                cmd.arg(key.as_str());
                keys.write_members(key, &tap.post, &tap.reaction);
                cmd.arg(key.as_str());
                keys.write_log(key, tap.post.partition());
                cmd.arg(key.as_str());
                if let Some(keyed) = &tap.keyed {
                    keys.write_record(key, tap.post.partition(), &keyed.key);
                    cmd.arg(key.as_str());
                }
            }
            Item::Summary(SummaryItem { post, .. }, _)
            | Item::Reactors(ReactorsItem { post, .. }, _) => {
                keys.write_post(key, post);
                cmd.arg(key.as_str());
            }
            Item::Probe(partition, _) => {
                for part in PROBE {
                    keys.write_probe(key, *partition, part);
                    cmd.arg(key.as_str());
                }
            }
        }
    }

    /// Appends the item's arguments to `cmd`.
    pub(super) fn write_args(&self, cmd: &mut Cmd, clock: &StoreClock, text: &mut String) {
        match &self.item {
            Item::Tap(tap, _) => {
                tap.post.write_to(text);
                cmd.arg(text.as_str())
                    .arg(tap.user.get())
                    .arg(tap.reaction.as_str())
                    .arg(clock.not_after(self.deadline))
                    .arg(tap.keyed.map_or("", |keyed| keyed.form.letter()));
            }
            Item::Summary(SummaryItem { viewer, recent, .. }, _) => {
                match viewer {
                    Some(user) => cmd.arg(user.get()),
                    None => cmd.arg(""),
                };
                cmd.arg(*recent);
            }
            Item::Reactors(ReactorsItem { reaction, after, take, .. }, _) => {
                cmd.arg(reaction.as_ref().map_or("", Reaction::as_str));
                match after {
                    Some(place) => cmd.arg(place.reacted_at.0).arg(place.user.get()),
                    None => cmd.arg("").arg(""),
                };
                cmd.arg(*take);
            }
            Item::Probe(..) => {
                cmd.arg("probe")
                    .arg(1)
                    .arg("probe")
                    .arg(clock.not_after(self.deadline))
                    .arg(Form::Toggle.letter());
            }
        }
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        match &self.item {
            Item::Tap(_, waiting) | Item::Probe(_, waiting) => waiting.is_closed(),
            Item::Summary(_, waiting) => waiting.is_closed(),
            Item::Reactors(_, waiting) => waiting.is_closed(),
        }
    }

    /// Answers with the item's elements of a reply.
    pub(super) fn answer(self, elements: &[Value], warnings: &ThrottledWarnings) {
        let doubt = self.in_doubt;
        match self.item {
            Item::Tap(tap, waiting) => {
                let parsed = reply::outcome(elements, &format_args!("post {}", tap.post));
                send(waiting, parsed.map(|result| doubted(result, doubt)), true, warnings);
            }
            Item::Probe(_, waiting) => {
                send(waiting, reply::outcome(elements, &"the readiness probe"), true, warnings);
            }
            Item::Summary(SummaryItem { post, viewer, .. }, waiting) => {
                let parsed = reply::summary(elements, post, viewer.is_some());
                send(waiting, parsed, false, warnings);
            }
            Item::Reactors(ReactorsItem { post, .. }, waiting) => {
                send(waiting, reply::reactors(elements, post), false, warnings);
            }
        }
    }

    /// Answers that a reply cannot be read.
    pub(super) fn answer_unreadable(self, warnings: &ThrottledWarnings) {
        match self.item {
            Item::Tap(_, waiting) | Item::Probe(_, waiting) => {
                send(waiting, Err(Unreadable), true, warnings);
            }
            Item::Summary(_, waiting) => send(waiting, Err(Unreadable), false, warnings),
            Item::Reactors(_, waiting) => send(waiting, Err(Unreadable), false, warnings),
        }
    }

    /// Answers with an error.
    pub(super) fn fail(self, error: StoreError) {
        let doubt = self.in_doubt;
        // A receiver that has gone is a caller that has gone.
        match self.item {
            Item::Tap(_, waiting) => drop(waiting.send(doubted(Err(error), doubt))),
            Item::Probe(_, waiting) => drop(waiting.send(Err(error))),
            Item::Summary(_, waiting) => drop(waiting.send(Err(error))),
            Item::Reactors(_, waiting) => drop(waiting.send(Err(error))),
        }
    }
}

/// What the last attempt of a tap came to, seen together with an earlier one that is in doubt: that
/// this one was refused does not say that nothing was applied. Only the record can say more.
fn doubted(result: Result<Outcome, StoreError>, doubt: bool) -> Result<Outcome, StoreError> {
    match result {
        Err(StoreError::KeyReused) | Ok(_) => result,
        Err(_) if doubt => Err(StoreError::OutcomeUnknown),
        Err(_) => result,
    }
}

fn send<T>(waiting: Waiting<T>, parsed: ItemResult<T>, writes: bool, warnings: &ThrottledWarnings) {
    let answer = parsed.unwrap_or_else(|Unreadable| {
        warnings.about("a script gave a reply that no script of this release gives");
        Err(if writes {
            StoreError::OutcomeUnknown
        } else {
            StoreError::Unavailable("the store's reply could not be read".into())
        })
    });
    if let Err(StoreError::Damaged(what) | StoreError::Unavailable(what)) = &answer {
        warnings.about(what);
    }
    drop(waiting.send(answer));
}
