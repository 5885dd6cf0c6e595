//! The `onetap` program. All it does is in the library.

use std::process::ExitCode;

/// Requests are many small allocations; measured against the system's allocator in `benches/`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // With huge pages a buffer counts in full whose first bytes alone were ever used, and each open
    // stream has two of them: 22 KB a stream instead of 13. That this cannot be had is no failure.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    onetap::commands::main()
}
