//! The `onetap` program. All it does is in the library.

use std::process::ExitCode;

/// Requests are many small allocations; measured against the system's allocator in `benches/`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    onetap::app::main()
}
