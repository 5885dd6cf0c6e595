//! The files of `deploy/` fit the program. `deploy/check` lints them.

mod alerts;
mod examples;
mod redis_conf;

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
