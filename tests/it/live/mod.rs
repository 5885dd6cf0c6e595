//! Streams of live counts.

mod rules;
mod stream;
mod stream_faults;
mod stream_load;
