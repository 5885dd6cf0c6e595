//! File descriptors: how many connections the system allows.

/// File descriptors for all but clients' connections: lanes, pool, runtimes, log, and a reserve.
const RESERVED_DESCRIPTORS: u64 = 128;

/// Raises the limit on open files to its maximum, and lowers the number of connections to fit. A
/// service without free descriptors could not open a connection to Redis either.
pub(super) fn connections_within(wanted: usize) -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let room = limit.saturating_sub(RESERVED_DESCRIPTORS).max(limit / 2).max(1);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if room < wanted {
        tracing::warn!(
            "only {limit} files may be open: at most {room} connections instead of {wanted}; \
             raise `ulimit -n`, or lower --max-connections"
        );
    }
    room.min(wanted)
}
