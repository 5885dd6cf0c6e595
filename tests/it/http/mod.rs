//! The API over HTTP.

mod bounds;
mod cors;
mod hide;
mod host;
mod idempotency;
mod ids;
mod limits;
mod log;
mod metrics;
mod openapi;
mod problems;
mod reads;
mod revisions;
mod server;
mod taps;
mod web;
