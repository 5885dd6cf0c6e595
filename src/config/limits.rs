//! `[limits]`: timeouts and sizes of requests and connections.

use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;

use super::units;
use crate::http::Limits;

const LARGEST: u64 = 1 << 40;

/// The bounds on requests and connections.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "limits")]
pub struct LimitsConfig {
    /// The most time from the first byte of a request's header to its last
    #[arg(long, alias = "head-timeout-ms", default_value = "5s",
          value_name = "DURATION", value_parser = units::timeout)]
    pub head_timeout: Duration,

    /// The most time for a request's body to arrive
    #[arg(long, alias = "body-timeout-ms", default_value = "10s",
          value_name = "DURATION", value_parser = units::timeout)]
    pub body_timeout: Duration,

    /// The most time from a complete request to its answer, the store included
    ///
    /// Over Redis, a write has at most 4 s. A read-only window begins when that time is over.
    #[arg(long, alias = "request-timeout-ms", default_value = "2s",
          value_name = "DURATION", value_parser = units::timeout)]
    pub request_timeout: Duration,

    /// How long a connection may stay idle
    ///
    /// A connection is idle when it has no request and its client has taken the last answer.
    #[arg(long, alias = "idle-timeout-ms", default_value = "1m",
          value_name = "DURATION", value_parser = units::timeout)]
    pub idle_timeout: Duration,

    /// How long a client may read nothing of its answer before onetap cuts the connection
    ///
    /// When a client has vanished without closing its connection, Linux closes it after twice that.
    #[arg(long, alias = "write-timeout-ms", default_value = "30s",
          value_name = "DURATION", value_parser = units::timeout)]
    pub write_timeout: Duration,

    /// The largest body of a request
    #[arg(long, alias = "max-body-bytes", default_value = "64KiB",
          value_name = "SIZE", value_parser = units::bytes(1..=4 << 30))]
    pub max_body: ByteSize,

    /// The longest path and query of a request
    ///
    /// The HTTP parser itself refuses headers beyond 64 KiB.
    #[arg(long, alias = "max-uri-bytes", default_value = "8KiB",
          value_name = "SIZE", value_parser = units::bytes(256..=32_768))]
    pub max_uri: ByteSize,

    /// The most connections at a time; more wait in the accept queue
    ///
    /// Streams may take all of them except 100, or except a quarter if that is less. A further
    /// stream gets 503 `overloaded`. onetap tries to keep 1 in 64 free, at most 50. When fewer are
    /// free, it closes the connections that have been idle for longest (at least 100 ms), then
    /// those whose request has been incomplete for longest (at least a second). With
    /// `--max-connections` below 64 it keeps none free.
    #[arg(long, default_value = "10000",
          value_parser = units::count(1..=1_000_000))]
    pub max_connections: u32,

    /// The most bytes of unanswered requests, all connections together
    ///
    /// The first 8 KiB of each request do not count. A body that does not fit gets 503
    /// `overloaded`; onetap cuts a connection whose header does not fit.
    #[arg(long, default_value = "64MiB",
          value_name = "SIZE", value_parser = units::bytes(1..=LARGEST))]
    pub max_request_bytes_in_flight: ByteSize,

    /// The most bytes of large answers that clients have not read yet, all connections together
    ///
    /// An answer is large above 16 KiB. When a new one does not fit, onetap closes connections
    /// whose answers have been on their way for at least two seconds, the oldest first. If that
    /// frees too little, the new answer is 503 `overloaded`.
    #[arg(long, default_value = "256MiB",
          value_name = "SIZE", value_parser = units::bytes(1..=LARGEST))]
    pub max_answer_bytes_in_flight: ByteSize,
}

impl LimitsConfig {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            head_timeout: self.head_timeout,
            body_timeout: self.body_timeout,
            request_timeout: self.request_timeout,
            idle_timeout: self.idle_timeout,
            write_timeout: self.write_timeout,
            max_body_bytes: bytes(self.max_body),
            max_uri_bytes: bytes(self.max_uri),
            max_connections: self.max_connections as usize,
            max_request_bytes_in_flight: bytes(self.max_request_bytes_in_flight),
            max_answer_bytes_in_flight: bytes(self.max_answer_bytes_in_flight),
            note_peers: false,
        }
    }
}

pub(super) fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
