//! When bytes that were sent can no longer take effect.

use subrosa_types::Epoch;

use crate::PayloadClass;

/// How many definite failures an intent survives: after this many it ends in error (sync §2.12).
pub const MAX_ATTEMPTS: u32 = 3;

/// A message made this many epochs ago is not relied on any more and is encrypted again (sync §2.9.1).
pub const MESSAGE_EPOCHS: u64 = 3;

/// Whether bytes made in one epoch can still take effect (sync §2.12).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "bytes are dead or they are not")]
pub enum Fate {
    /// They may still be accepted: send them again as they are, never make new ones.
    Alive,
    /// The log proves that they have no effect: new ones may be made.
    Dead,
}

/// The fate of bytes made in `made_in`, once the log has brought the group to `now_in`.
///
/// A commit is dead as soon as its epoch is over. A message is dead [`MESSAGE_EPOCHS`] later.
#[must_use]
pub fn fate(class: PayloadClass, made_in: Epoch, now_in: Epoch) -> Fate {
    let dead = match class {
        PayloadClass::Commit => now_in > made_in,
        PayloadClass::Message => made_in.0.saturating_add(MESSAGE_EPOCHS) <= now_in.0,
    };
    if dead { Fate::Dead } else { Fate::Alive }
}

/// Whether an own envelope that came back is of no use in the group's epoch: too old, or, after the local database
/// was rewound, from an epoch that is still to come (sync §2.9.1).
#[must_use]
pub fn is_stale(class: PayloadClass, made_in: Epoch, now_in: Epoch) -> bool {
    made_in > now_in || fate(class, made_in, now_in) == Fate::Dead
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_dies_with_its_epoch() {
        assert_eq!(fate(PayloadClass::Commit, Epoch(4), Epoch(4)), Fate::Alive);
        assert_eq!(fate(PayloadClass::Commit, Epoch(4), Epoch(5)), Fate::Dead);
    }

    #[test]
    fn a_message_lives_for_two_more_epochs() {
        assert_eq!(fate(PayloadClass::Message, Epoch(4), Epoch(6)), Fate::Alive);
        assert_eq!(fate(PayloadClass::Message, Epoch(4), Epoch(7)), Fate::Dead);
        assert_eq!(fate(PayloadClass::Message, Epoch(u64::MAX), Epoch(7)), Fate::Alive);
    }

    #[test]
    fn an_envelope_from_the_future_is_stale() {
        assert!(is_stale(PayloadClass::Commit, Epoch(5), Epoch(4)));
        assert!(is_stale(PayloadClass::Message, Epoch(5), Epoch(4)));
        assert!(!is_stale(PayloadClass::Commit, Epoch(4), Epoch(4)));
    }
}
