//! The store in a file.

mod backup;
mod crash;
mod gone;
mod maintenance;
mod store;
