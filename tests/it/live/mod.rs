//! Streams of live counts.

mod stream;
mod stream_faults;
mod stream_load;
