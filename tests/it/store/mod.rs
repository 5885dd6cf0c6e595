//! What every store has to keep: the laws, the model, and taps at one moment.

mod amended;
mod amending;
mod change_log;
mod concurrency;
mod contract;
mod differential;
pub(crate) mod each;
mod protocol;
