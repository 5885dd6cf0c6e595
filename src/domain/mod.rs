//! The words of onetap and its rules, as pure types: no IO, no clock, no async.
//!
//! Everything that comes from outside is parsed here, once, into a type whose field is private;
//! behind the edge nothing is validated again. [`decide`] is the rule of a tap; [`machine`] keeps
//! one post by it, for the memory store and as the oracle that the Lua scripts are held against.

mod change;
mod decide;
mod idempotency;
mod ids;
pub mod machine;
mod members;
mod micros;
mod reaction;
mod reactor;
mod summary;
mod tap;

pub use change::{Cause, Change};
pub use decide::{Before, Decision, PostWrite, decide};
pub use idempotency::{
    Fate, Form, IdempotencyKey, InvalidIdempotencyKey, KeyReused, Keyed, Record, Records,
};
pub use ids::{InvalidPostId, InvalidUserId, PARTITIONS, Partition, PostId, UserId};
pub use micros::{Micros, Revision};
pub use reaction::{InvalidReaction, Reaction};
pub use reactor::{Position, Reactor, ReactorsPage};
pub use summary::{ReactionSummary, Summary};
pub use tap::{Outcome, Tap, Verb};
