//! The operations: one file each, with its script, keys, arguments, retry class and parser.
//!
//! The lanes carry an [`Item`] and use only its trait [`Waiting`]. So a new operation is a file
//! here and a line in the list below.

mod amend;
mod answer;
mod audit;
mod document;
mod forget;
mod given;
mod probe;
mod reactors;
mod rules;
mod script;
mod summary;
mod tap;
mod verdict;
mod whole;

#[cfg(test)]
mod drop_one;

use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

use deadpool_redis::redis::{Cmd, ToRedisArgs, Value};
use tokio::sync::oneshot;

pub(crate) use self::amend::Amend;
pub(crate) use self::answer::{
    ItemResult, Judged, Unreadable, is_late, is_not_read, is_refused, split,
};
pub(crate) use self::audit::{Audit, PostAudit};
pub(crate) use self::document::{ReadDocument, WriteDocument};
#[cfg(test)]
pub(crate) use self::drop_one::DropOne;
pub(crate) use self::given::{GivenLook, ReadGiven};
pub(crate) use self::probe::Probe;
pub(crate) use self::reactors::ReadReactors;
use self::script::lua;
pub(crate) use self::script::{Effect, Script, Shape};
pub(crate) use self::summary::ReadSummary;
pub(crate) use self::tap::JudgedTap;
pub(crate) use self::whole::WholeSet;
use crate::domain::{Forget, Partition, PostId, RulesEdit, UserId};
use crate::store::StoreError;
use crate::store::redis::keys::Keys;
use crate::telemetry::ThrottledWarnings;

/// What a lane needs to know of an operation.
pub(crate) trait Operation: Debug + Send + 'static {
    /// What the caller gets.
    type Answer: Debug + Send;

    /// All scripts that may run it.
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script];

    /// The script that runs it.
    fn script(&self) -> &'static Script;

    /// The script that runs it while memory is full, if there is one.
    fn script_when_full(&self) -> Option<&'static Script> {
        None
    }

    /// Whether the lane may retry it when the outcome is unknown.
    fn retry(&self) -> Retry;

    /// The partition that all its keys are in.
    fn partition(&self) -> Partition;

    /// How much work it is, in that of a tap. Bounds the batches.
    fn weight(&self) -> usize {
        1
    }

    /// How many keys it has besides those of the script's shape.
    fn extra_keys(&self) -> usize {
        0
    }

    /// Writes its keys.
    fn write_keys(&self, keys: &mut KeyWriter<'_>);

    /// Writes its arguments. `not_after` is the deadline, in µs of the server's clock.
    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64);

    /// Parses its elements of a reply.
    fn read(&self, elements: &[Value]) -> ItemResult<Self::Answer>;
}

/// Whether a call of unknown outcome may run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// A second run does no harm: the call reads, or its record makes the run a replay.
    Safe,
    /// A second run would have a second effect.
    Never,
}

/// Settings of the writing scripts, and the names of the keys.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) keys: Keys,
    pub(crate) change_log_retention_millis: u64,
    pub(crate) change_log_entries: u32,
    pub(crate) record_retention_millis: u64,
}

/// What a script call needs once, for the arguments before those of its items. Times are in µs of
/// the server's clock.
pub(crate) struct BatchFrame<'a> {
    pub(crate) settings: &'a Settings,
    /// The earliest deadline of the batch.
    pub(crate) not_after: i64,
    /// The least that the clock shows when the call arrives, unless someone puts it back.
    pub(crate) not_before: i64,
}

/// Appends keys to a command. One buffer formats all of them.
pub(crate) struct KeyWriter<'a> {
    pub(crate) cmd: &'a mut Cmd,
    pub(crate) keys: &'a Keys,
    pub(crate) text: &'a mut String,
}

impl KeyWriter<'_> {
    fn key(&mut self, write: impl FnOnce(&Keys, &mut String)) {
        write(self.keys, self.text);
        self.cmd.arg(self.text.as_str());
    }
}

/// Appends arguments to a command. One buffer formats those that need it.
pub(crate) struct ArgWriter<'a> {
    pub(crate) cmd: &'a mut Cmd,
    pub(crate) text: &'a mut String,
}

impl ArgWriter<'_> {
    fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.cmd.arg(arg);
        self
    }

    /// The id of a post, as 16 bytes.
    fn post(&mut self, post: PostId) -> &mut Self {
        self.arg(post.as_uuid().as_bytes().as_slice())
    }

    fn user(&mut self, user: UserId) -> &mut Self {
        self.arg(user.spelled().as_str())
    }

    /// The moderator that acts, or the empty text.
    fn actor(&mut self, actor: Option<UserId>) -> &mut Self {
        match actor {
            Some(actor) => self.user(actor),
            None => self.arg(""),
        }
    }

    fn spelled(&mut self, write: impl FnOnce(&mut String)) -> &mut Self {
        write(self.text);
        self.cmd.arg(self.text.as_str());
        self
    }
}

/// An operation and the channel to its caller.
#[derive(Debug)]
pub(crate) struct Pending<O: Operation> {
    operation: O,
    /// None after the answer.
    caller: Option<oneshot::Sender<Result<O::Answer, StoreError>>>,
}

/// The caller's side of a [`Pending`].
pub(crate) type Reply<O> = oneshot::Receiver<Result<<O as Operation>::Answer, StoreError>>;

impl<O: Operation> Pending<O> {
    pub(crate) fn new(operation: O) -> (Self, Reply<O>) {
        let (caller, answer) = oneshot::channel();
        (Self { operation, caller: Some(caller) }, answer)
    }

    /// Sends the result. `doubt`: an earlier attempt may have been applied, and only the record can
    /// tell. A failure of the last attempt does not.
    fn send(&mut self, result: Result<O::Answer, StoreError>, doubt: bool) {
        let result = match result {
            Ok(_) | Err(StoreError::KeyReused) => result,
            Err(_) if doubt && self.operation.script().writes() => Err(StoreError::OutcomeUnknown),
            Err(_) => result,
        };
        // Fails only if the caller is gone.
        let _ = self.caller.take().map(|caller| caller.send(result));
    }
}

/// What a lane needs of any operation on its way.
pub(crate) trait Waiting {
    fn script(&self) -> &'static Script;
    fn script_when_full(&self) -> Option<&'static Script>;
    fn retry(&self) -> Retry;
    fn partition(&self) -> Partition;
    fn weight(&self) -> usize;
    fn keys(&self) -> usize;
    fn write_keys(&self, keys: &mut KeyWriter<'_>);
    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64);
    /// Whether the caller is gone.
    fn is_abandoned(&self) -> bool;
    /// Answers with the operation's elements of a reply; None if the reply is unreadable.
    fn answer(&mut self, elements: Option<&[Value]>, doubt: bool, warnings: &ThrottledWarnings);
    fn fail(&mut self, error: StoreError, doubt: bool);
}

impl<O: Operation> Waiting for Pending<O> {
    fn script(&self) -> &'static Script {
        self.operation.script()
    }

    fn script_when_full(&self) -> Option<&'static Script> {
        self.operation.script_when_full()
    }

    fn retry(&self) -> Retry {
        self.operation.retry()
    }

    fn partition(&self) -> Partition {
        self.operation.partition()
    }

    fn weight(&self) -> usize {
        self.operation.weight()
    }

    fn keys(&self) -> usize {
        self.operation.script().shape.keys + self.operation.extra_keys()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        self.operation.write_keys(keys);
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        self.operation.write_args(args, not_after);
    }

    fn is_abandoned(&self) -> bool {
        self.caller.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn answer(&mut self, elements: Option<&[Value]>, doubt: bool, warnings: &ThrottledWarnings) {
        let read = elements.ok_or(Unreadable).and_then(|elements| self.operation.read(elements));
        let result = read.unwrap_or_else(|Unreadable| {
            warnings.about("a script gave a reply that no script of this release gives");
            Err(match self.operation.script().writes() {
                true => StoreError::OutcomeUnknown,
                false => StoreError::Unavailable("the store's reply could not be read".into()),
            })
        });
        if let Err(StoreError::Damaged(what) | StoreError::Unavailable(what)) = &result {
            warnings.about(what);
        }
        self.send(result, doubt);
    }

    fn fail(&mut self, error: StoreError, doubt: bool) {
        self.send(Err(error), doubt);
    }
}

/// Makes [`Item`], which holds each operation in place: a tap needs no box.
macro_rules! operations {
    ($($(#[$when:meta])* $name:ident($operation:ty)),+ $(,)?) => {
        /// Any operation on its way.
        #[derive(Debug)]
        pub(crate) enum Item { $($(#[$when])* $name(Pending<$operation>)),+ }

        impl Deref for Item {
            type Target = dyn Waiting;

            fn deref(&self) -> &Self::Target {
                match self { $($(#[$when])* Self::$name(pending) => pending),+ }
            }
        }

        impl DerefMut for Item {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self { $($(#[$when])* Self::$name(pending) => pending),+ }
            }
        }

        #[cfg(test)]
        const SCRIPTS: &[&[&Script]] = &[$(<$operation as Operation>::SCRIPTS),+];

        $($(#[$when])* impl From<Pending<$operation>> for Item {
            fn from(pending: Pending<$operation>) -> Self {
                Self::$name(pending)
            }
        })+
    };
}

operations! {
    Tap(JudgedTap),
    Whole(WholeSet),
    Rules(RulesEdit),
    Forget(Forget),
    Summary(ReadSummary),
    Reactors(ReadReactors),
    Probe(Probe),
    Amend(Amend),
    Given(ReadGiven),
    Audit(Audit),
    Document(ReadDocument),
    WriteDocument(WriteDocument),
    #[cfg(test)]
    DropOne(drop_one::DropOne),
}
