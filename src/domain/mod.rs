//! The terms and rules of onetap, as pure types: no IO, no clock, no async.
//!
//! Input is parsed here, once, into types with private fields; no code behind this validates it
//! again. [`decide()`] is the rule of a tap. [`machine`] applies it to one post, for the memory
//! store and as the oracle that the Lua scripts are held against.

mod change;
mod decide;
mod idempotency;
mod ids;
pub mod machine;
mod members;
mod micros;
mod reaction;
mod reactor;
mod records;
mod summary;
mod tap;
mod verb;

pub use change::{Cause, Change};
pub use decide::{Before, Decision, PostWrite, decide};
pub use idempotency::{Form, IdempotencyKey, InvalidIdempotencyKey, Keyed};
pub use ids::{InvalidPostId, InvalidUserId, PARTITIONS, Partition, PostId, UserId};
pub use micros::{Micros, Revision};
pub use reaction::{InvalidReaction, Reaction};
pub use reactor::{Position, Reactor, ReactorsPage};
pub use records::{Fate, KeyReused, Record, Records};
pub use summary::{ReactionSummary, Summary};
pub use tap::{Outcome, Tap};
pub use verb::Verb;
