//! Where the time comes from.

use std::time::{SystemTime, UNIX_EPOCH};

use subrosa_types::UnixNanos;

/// A source of time, so that a simulated world can run the unmodified client.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> UnixNanos;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixNanos {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        UnixNanos::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}
