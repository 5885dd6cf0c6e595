//! The terms and rules of onetap, as pure types: no IO, no clock, no async.
//!
//! Input is parsed here, once, into types with private fields; no code behind this validates it
//! again. [`decide()`] is the rule of a tap. [`machine`] applies it to one post, for the memory
//! store and as the oracle that the Lua scripts are held against.

mod amend;
mod change;
mod decide;
mod decide_amendment;
#[cfg(test)]
mod fuzz_tests;
mod idempotency;
mod ids;
pub mod machine;
mod members;
mod micros;
mod palette;
mod palette_spec;
mod reaction;
mod reactor;
mod records;
mod rules;
mod summary;
mod tap;
mod user;
mod verb;

pub use amend::{
    Amended, Amendment, EditAct, EditOutcome, ImportMark, ImportOutcome, ImportStep, MOST_EDITS,
    MemberEdit, Once, SourceId, StepToken,
};
pub use change::{Cause, Change, What};
pub use decide::{Decision, Look, PostWrite, decide, decide_forget, decide_rules, resolve};
pub use decide_amendment::{AmendDecision, MarkWrite, MemberMove, PostLook, decide_amendment};
pub use idempotency::{Form, IdempotencyKey, InvalidIdempotencyKey, Keyed};
pub use ids::{InvalidPostId, InvalidPostInteger, MAX_POST_KIND, PARTITIONS, Partition, PostId};
pub use micros::{Micros, Revision};
pub use palette::{Group, Palette, Palettes, Verdict};
pub use palette_spec::{
    Exclusive, InvalidPalette, MAX_KINDS_PER_POST, MAX_PALETTE_LIMIT, MAX_PALETTE_REACTIONS,
    MAX_PER_USER_AND_POST, PaletteSpec,
};
pub use reaction::{InvalidReaction, Reaction};
pub use reactor::{Position, Reactor, ReactorsPage};
pub use records::{Fate, KeyReused, Record, Records};
pub use rules::{
    Add, DEFAULT_PALETTE, Edit, Forget, Forgotten, InvalidPaletteName, PaletteName, Ruled, Rules,
    RulesEdit,
};
pub use summary::{MOST_NAMED, ReactionSummary, Summary};
pub use tap::{Act, Details, Outcome, Refusal, Tap};
pub use user::{InvalidUserId, SpelledId, UserId, UserIds};
pub use verb::Verb;
