//! onetap's own concurrent pieces, free of IO, so that loom can run them (`--cfg onetap_loom`).
//!
//! They use the primitives of [`prim`] and nothing else: what loom cannot see it cannot check.

mod prim;
mod sharded;
mod stamped;
mod versions;
mod wake_cell;

pub use sharded::Sharded;
pub use stamped::Stamped;
pub use versions::Versions;
pub use wake_cell::WakeCell;
