//! Positions in ordered logs (envelopes §5).

use std::fmt;

/// A source of strictly increasing sequence ids (envelopes §5.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OriginatorId(pub u32);

impl OriginatorId {
    /// MLS commits.
    pub const COMMITS: Self = Self(0);
    /// The identity log.
    pub const IDENTITY: Self = Self(1);
    /// Application messages and stand-alone proposals of the centralised network.
    pub const MESSAGES: Self = Self(10);
    /// Welcomes of the centralised network.
    pub const WELCOMES: Self = Self(11);
}

/// Position in one originator's log. Items have ids from 1; 0 means "before the first".
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SequenceId(pub u64);

impl SequenceId {
    /// Before the first item.
    pub const START: Self = Self(0);
    /// The largest id there can be: ids fit in 63 bits (transport §6).
    pub const MAX: Self = Self(i64::MAX as u64);

    /// Whether this can be the id of an item: 1 to 2⁶³−1 (sync §3.8).
    #[must_use]
    pub const fn is_item(self) -> bool {
        self.0 >= 1 && self.0 <= Self::MAX.0
    }
}

impl fmt::Display for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Position of one item. No `Ord`: positions of two originators cannot be compared (envelopes §5.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Cursor {
    /// Whose log.
    pub originator: OriginatorId,
    /// Where in it.
    pub sequence: SequenceId,
}

impl Cursor {
    /// A position in the log of `originator`.
    #[must_use]
    pub const fn new(originator: OriginatorId, sequence: SequenceId) -> Self {
        Self { originator, sequence }
    }
}

/// MLS epoch of a group; the first is 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
