//! Where a topic stands.

use std::collections::BTreeMap;

use subrosa_types::{Cursor, OriginatorId, SequenceId};

/// Whose cursor a row is; the number is the one stored (sync §3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum EntityKind {
    /// Welcomes of an installation.
    Welcome,
    /// Application messages and proposals of a group.
    ApplicationMessage,
    /// Commits of a group.
    CommitMessage,
}

impl EntityKind {
    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Welcome => 1,
            Self::ApplicationMessage => 2,
            Self::CommitMessage => 7,
        }
    }

    /// Which cursor of a group an item of this originator moves.
    #[must_use]
    pub fn of_group_item(originator: OriginatorId) -> Self {
        if originator == OriginatorId::COMMITS { Self::CommitMessage } else { Self::ApplicationMessage }
    }
}

/// The last item processed of each originator in one topic. A missing originator stands at the start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Positions(BTreeMap<OriginatorId, SequenceId>);

impl Positions {
    /// Positions as they were stored.
    #[must_use]
    pub fn new(stored: impl IntoIterator<Item = Cursor>) -> Self {
        Self(stored.into_iter().map(|c| (c.originator, c.sequence)).collect())
    }

    /// The position in the log of `originator`.
    #[must_use]
    pub fn of(&self, originator: OriginatorId) -> SequenceId {
        self.0.get(&originator).copied().unwrap_or_default()
    }

    /// Whether the item was passed already.
    #[must_use]
    pub fn covers(&self, item: Cursor) -> bool {
        self.of(item.originator) >= item.sequence
    }

    /// Moves to `item`; false, and nothing changes, if it was passed already (sync §3.1).
    #[must_use = "false means that somebody else processed the item"]
    pub fn advance(&mut self, item: Cursor) -> bool {
        if self.covers(item) {
            return false;
        }
        self.0.insert(item.originator, item.sequence);
        true
    }

    /// Where a query of the centralised network starts: commits and messages of a group share one counter, so the
    /// larger of the two positions (sync §3.3).
    #[must_use]
    pub fn query_from(&self) -> SequenceId {
        self.of(OriginatorId::COMMITS).max(self.of(OriginatorId::MESSAGES)).max(self.of(OriginatorId::WELCOMES))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(originator: u32, sequence: u64) -> Cursor {
        Cursor::new(OriginatorId(originator), SequenceId(sequence))
    }

    #[test]
    fn originators_move_independently() {
        let mut positions = Positions::default();
        assert!(positions.advance(item(10, 8)));
        assert!(positions.advance(item(0, 5)));
        assert!(!positions.advance(item(10, 8)), "the same item a second time");
        assert!(!positions.advance(item(0, 4)), "an earlier item");
        assert_eq!(positions.query_from(), SequenceId(8));
    }

    proptest! {
        #[test]
        fn positions_never_go_back(items in proptest::collection::vec((0u32..3, 0u64..50), 0..60)) {
            let mut positions = Positions::default();
            for (originator, sequence) in items {
                let before = positions.of(OriginatorId(originator));
                let moved = positions.advance(item(originator, sequence));
                let after = positions.of(OriginatorId(originator));
                prop_assert!(after >= before);
                prop_assert_eq!(moved, after > before);
            }
        }
    }
}
