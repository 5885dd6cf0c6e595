//! The `onetap` program. The library does all the work.

use std::process::ExitCode;

/// Requests are many small allocations. `benches/noop` uses the same allocator, to compare like
/// with like.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A huge page counts in full even if only its first bytes are used, and each open stream has
    // two such buffers: 22 KB a stream instead of 13. If the kernel refuses, only memory is lost.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    onetap::commands::main()
}
