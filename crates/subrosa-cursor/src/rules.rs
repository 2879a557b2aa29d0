//! When a cursor may move (sync §3.2).

/// How processing an item of a group's log ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a new outcome must be judged here")]
pub enum Outcome {
    /// Its effect is among the changes of this step.
    Applied,
    /// It has no effect by rule: a stand-alone proposal, a duplicate, a plaintext of a retired form.
    Ignored,
    /// It is invalid for good: undecryptable, refused by the rules, malformed.
    Refused,
    /// Judging it needs something that did not answer: identity log, chain, local storage.
    CannotTell,
    /// The group needs a newer protocol version; the same item is read again after an upgrade.
    VersionTooLow,
    /// The MLS library cannot follow a commit that is valid for others (groups §9.1).
    Stalled,
    /// It waits for an item that has not arrived.
    Early,
}

/// What happens to the cursor and to what follows in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a cursor moves or it does not")]
pub enum Disposition {
    /// The cursor passes the item, in the same transaction as its effect; the next item follows.
    Advance,
    /// The cursor stays and nothing after the item is processed now.
    Stop,
    /// The cursor stays, the next item follows. Only for a group we are no longer in: a later welcome may let us
    /// read what is left standing.
    Leave,
}

/// The rule (sync §3.2): `active` is whether we are a member of the group before the item.
#[must_use]
pub const fn disposition(outcome: Outcome, active: bool) -> Disposition {
    match outcome {
        Outcome::Applied | Outcome::Ignored => Disposition::Advance,
        Outcome::Refused if active => Disposition::Advance,
        Outcome::Refused => Disposition::Leave,
        Outcome::CannotTell | Outcome::VersionTooLow | Outcome::Stalled | Outcome::Early => Disposition::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_disposition() {
        let table = [
            (Outcome::Applied, Disposition::Advance, Disposition::Advance),
            (Outcome::Ignored, Disposition::Advance, Disposition::Advance),
            (Outcome::Refused, Disposition::Advance, Disposition::Leave),
            (Outcome::CannotTell, Disposition::Stop, Disposition::Stop),
            (Outcome::VersionTooLow, Disposition::Stop, Disposition::Stop),
            (Outcome::Stalled, Disposition::Stop, Disposition::Stop),
            (Outcome::Early, Disposition::Stop, Disposition::Stop),
        ];
        for (outcome, active, inactive) in table {
            assert_eq!(disposition(outcome, true), active, "{outcome:?} in a group we are in");
            assert_eq!(disposition(outcome, false), inactive, "{outcome:?} in a group we left");
        }
    }
}
