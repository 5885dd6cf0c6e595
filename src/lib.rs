//! Reactions that count every tap exactly once. `ARCHITECTURE.md` explains how the parts fit.

pub mod app;
pub mod auth;
pub mod commands;
pub mod config;
pub mod demo;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod keys;
pub mod live;
pub mod moving;
pub mod rate_limit;
pub mod store;
pub mod sync;
pub mod telemetry;
