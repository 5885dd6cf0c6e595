//! Faults under load, and what clients see of them.

mod bystander;
mod connections;
mod in_doubt;
mod overload;
mod recorded;
mod recorded_file;
mod slow_loris;
mod taps;
