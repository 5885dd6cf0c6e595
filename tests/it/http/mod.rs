//! The API over HTTP.

mod bounds;
mod cors;
mod edge;
mod forget;
mod given;
mod hide;
mod host;
mod idempotency;
mod ids;
mod limits;
mod log;
mod metrics;
mod openapi;
mod palettes;
mod problems;
mod read_only;
mod reads;
mod revisions;
mod rules;
mod server;
mod sets;
mod sizes;
mod taps;
mod user_ids;
mod web;
