//! Standard output.

use std::io::{self, Write as _};

use super::Failure;

/// Prints to stdout. A reader may close the pipe early; that is no failure.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    match print(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Taken(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints to stdout. A reader that closes the pipe is an error, too.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes to stdout, in large parts.
pub(crate) fn output() -> impl io::Write {
    io::BufWriter::with_capacity(256 * 1024, io::stdout().lock())
}
