//! onetap's own concurrent building blocks. They do no IO, so loom can check them (`--cfg
//! onetap_loom`).
//!
//! They use only the primitives of [`prim`]: loom checks only what it sees.

mod gate;
mod prim;
mod sharded;
mod stamped;
mod versions;
mod wake_cell;

pub use gate::{Gate, Inside};
pub use sharded::Sharded;
pub use stamped::Stamped;
pub use versions::Versions;
pub use wake_cell::WakeCell;
