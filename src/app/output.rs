//! Standard output.

use std::io::{self, Write as _};

use super::Failure;

/// Prints to stdout. A reader may close the pipe early; that is no failure.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Taken(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes to stdout, in large parts.
pub(crate) fn output() -> impl io::Write {
    io::BufWriter::with_capacity(256 * 1024, io::stdout().lock())
}
