//! The standard output, whose reader may leave at any time.

use std::io::{self, Write as _};

use crate::failure::Failure;

/// Prints text at once. A reader that left early, such as `head`, is not an error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot write to the standard output").because(&error))
        }
        _ => Ok(()),
    }
}
