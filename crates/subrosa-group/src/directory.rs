//! The identity logs a verdict is based on, and the installation arithmetic over them (groups §3.4, step 6).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use subrosa_identity::InboxLog;
use subrosa_types::{InboxId, InstallationId, SequenceId};

use crate::context::Membership;

/// Identity logs by inbox. A log or entry that is missing here does not exist: whoever fills it has already asked
/// the network.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    logs: BTreeMap<InboxId, Arc<InboxLog>>,
    /// Installations by inbox and sequence id, taken on trust.
    assumed: BTreeMap<InboxId, BTreeMap<SequenceId, BTreeSet<InstallationId>>>,
}

/// An identity log that must be known up to an entry before a verdict is possible.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IdentityNeed {
    /// Whose log.
    pub inbox: InboxId,
    /// The entry that must be in it; 0 asks for nothing but the log itself.
    pub up_to: SequenceId,
}

/// What the change from one membership to another puts in and takes out of the tree.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExpectedInstallations {
    /// Installations that should come in, each with its inbox.
    pub adds: BTreeMap<InstallationId, InboxId>,
    /// Installations that must go.
    pub removes: BTreeSet<InstallationId>,
}

/// Why the change of a membership makes no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// A sequence id became smaller.
    #[error("the sequence id of inbox {inbox:?} falls from {old} to {new}")]
    SequenceDecreased {
        /// Whose.
        inbox: InboxId,
        /// Before.
        old: SequenceId,
        /// After.
        new: SequenceId,
    },
    /// An identity log has no entry with the number that is needed.
    #[error("the identity log of inbox {inbox:?} has no entry {sequence}")]
    MissingIdentity {
        /// Whose log.
        inbox: InboxId,
        /// The number.
        sequence: SequenceId,
    },
}

impl Directory {
    /// No logs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a log.
    pub fn insert(&mut self, inbox: InboxId, log: Arc<InboxLog>) {
        self.logs.insert(inbox, log);
    }

    /// Adds what another directory holds; its logs replace older ones of the same inboxes.
    pub fn extend(&mut self, other: Self) {
        self.logs.extend(other.logs);
    }

    /// The log of `inbox`, if it is here.
    #[must_use]
    pub fn log(&self, inbox: &InboxId) -> Option<&Arc<InboxLog>> {
        self.logs.get(inbox)
    }

    /// Takes on trust that `inbox` holds these installations at `sequence`. For replaying recordings that lack the
    /// identity logs; nothing else may call it.
    #[doc(hidden)]
    pub fn assume(&mut self, inbox: InboxId, sequence: SequenceId, installations: BTreeSet<InstallationId>) {
        self.assumed.entry(inbox).or_default().entry(sequence).or_default().extend(installations);
    }

    /// The installations of `inbox` at exactly the entry `sequence` (groups §3.4, step 6).
    ///
    /// # Errors
    /// [`MembershipError::MissingIdentity`] when there is no such log or entry, or it is bad.
    pub fn installations(
        &self,
        inbox: &InboxId,
        sequence: SequenceId,
    ) -> Result<BTreeSet<InstallationId>, MembershipError> {
        let missing = MembershipError::MissingIdentity { inbox: *inbox, sequence };
        if let Some(assumed) = self.assumed.get(inbox) {
            return assumed.get(&sequence).cloned().ok_or(missing);
        }
        let state = self.logs.get(inbox).ok_or(missing)?.state_at(sequence).map_err(|_| missing)?;
        Ok(state.installations().collect())
    }

    /// Whether `inbox` holds `installation` at exactly the entry `sequence`: the question to ask about the sender of
    /// a payload before it has any effect (groups §7.3).
    ///
    /// # Errors
    /// As for [`Self::installations`].
    pub fn holds(
        &self,
        inbox: &InboxId,
        installation: &InstallationId,
        sequence: SequenceId,
    ) -> Result<bool, MembershipError> {
        Ok(self.installations(inbox, sequence)?.contains(installation))
    }

    /// Installations added and removed after `from`, up to `to`.
    fn diff(
        &self,
        inbox: &InboxId,
        from: SequenceId,
        to: SequenceId,
    ) -> Result<(Vec<InstallationId>, Vec<InstallationId>), MembershipError> {
        let missing = MembershipError::MissingIdentity { inbox: *inbox, sequence: to };
        if self.assumed.contains_key(inbox) {
            let before = if from == SequenceId::START { BTreeSet::new() } else { self.installations(inbox, from)? };
            let after = self.installations(inbox, to)?;
            let (added, removed) = (after.difference(&before), before.difference(&after));
            return Ok((added.copied().collect(), removed.copied().collect()));
        }
        let diff = self.logs.get(inbox).ok_or(missing)?.installation_diff(from, to).map_err(|_| missing)?;
        Ok((diff.added, diff.removed))
    }
}

impl FromIterator<(InboxId, Arc<InboxLog>)> for Directory {
    fn from_iter<I: IntoIterator<Item = (InboxId, Arc<InboxLog>)>>(logs: I) -> Self {
        Self { logs: logs.into_iter().collect(), ..Self::default() }
    }
}

/// What must be in a [`Directory`] before [`expected_installations`] can be asked.
#[must_use]
pub fn membership_needs(old: &Membership, new: &Membership) -> Vec<IdentityNeed> {
    let mut needs = BTreeSet::new();
    for (inbox, sequence) in &new.members {
        if old.members.get(inbox) != Some(sequence) {
            needs.insert(IdentityNeed { inbox: *inbox, up_to: *sequence });
        }
    }
    for (inbox, sequence) in &old.members {
        if !new.members.contains_key(inbox) {
            needs.insert(IdentityNeed { inbox: *inbox, up_to: *sequence });
        }
    }
    needs.into_iter().collect()
}

/// Which installations the step from `old` to `new` adds and removes (groups §3.4, step 6).
///
/// # Errors
/// [`MembershipError`]; both variants make a commit invalid for good.
pub fn expected_installations(
    old: &Membership,
    new: &Membership,
    directory: &Directory,
) -> Result<ExpectedInstallations, MembershipError> {
    let mut expected = ExpectedInstallations::default();
    for (inbox, &to) in &new.members {
        let from = old.members.get(inbox).copied();
        if from == Some(to) {
            continue;
        }
        // A new inbox counts from the beginning of its log, like one of which nothing was applied yet.
        let from = from.unwrap_or(SequenceId::START);
        if from > to {
            return Err(MembershipError::SequenceDecreased { inbox: *inbox, old: from, new: to });
        }
        let (added, removed) = directory.diff(inbox, from, to)?;
        expected.adds.extend(added.into_iter().map(|id| (id, *inbox)));
        expected.removes.extend(removed);
    }
    for (inbox, &at) in &old.members {
        if !new.members.contains_key(inbox) {
            expected.removes.extend(directory.installations(inbox, at)?);
        }
    }
    Ok(expected)
}
