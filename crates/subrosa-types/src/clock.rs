//! Time as the protocol carries it.

use std::{fmt, time::Duration};

/// Nanoseconds since the Unix epoch, signed. Arithmetic saturates: times from others are data, not truth
/// (sync §3.8).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnixNanos(i64);

impl UnixNanos {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// A time given in nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A time from an unsigned wire field; values above `i64::MAX` become the latest time.
    #[must_use]
    pub fn from_wire(nanos: u64) -> Self {
        Self(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The value of an unsigned wire field; times before 1970 become 0.
    #[must_use]
    pub fn to_wire(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// This time and `later` after it.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this time is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(UnixNanos::from_wire(u64::MAX).plus(Duration::MAX).as_nanos(), i64::MAX);
        assert_eq!(UnixNanos::from_nanos(5).since(UnixNanos::from_nanos(9)), Duration::ZERO);
        assert_eq!(UnixNanos::from_nanos(-1).to_wire(), 0);
        assert_eq!(UnixNanos::from_nanos(-1).as_seconds(), -1);
    }
}
