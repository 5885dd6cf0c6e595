//! All integration tests in one binary: laws of the stores, the HTTP API, public reports, faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod auth;
mod commands;
mod deploy;
mod docs;
mod faults;
mod file;
mod http;
mod jobs;
mod live;
mod moving;
mod redis;
mod store;
mod support;
mod traces;
