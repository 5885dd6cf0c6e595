//! The program: commands, settings, exit codes and signals.

mod admin;
mod cli;
mod config;
mod health;
mod jobs;
mod manual;
mod reload;
mod signals;
mod user_ids;

pub(crate) use cli::{assert_usage, onetap, run};
