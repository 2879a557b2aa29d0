//! Logs, always on the standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::failure::{Code, Failure};

/// Starts logging by this filter: a level, or levels per module.
pub(crate) fn start(filter: Option<&str>) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter.unwrap_or("warn")).map_err(|error| {
        Failure::new("the log filter cannot be read")
            .because(&error)
            .advise("give a level such as debug, or levels by module such as warn,subrosa=trace")
            .code(Code::Usage)
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    Ok(())
}
