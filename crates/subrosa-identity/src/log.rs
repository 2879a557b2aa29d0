//! The log of one inbox and its state at every sequence id (identity §9.3, §9.4).

use std::collections::BTreeMap;

use subrosa_types::{InboxId, InstallationId, SequenceId};

use crate::{
    AssociationError, AssociationState, DecodeError, MemberIdentifier, SignatureKind, VerifiedSignature,
    VerifiedUpdate, VerifyError,
};

/// Why an entry of a log is bad.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// It is no update.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A signature does not verify.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The state before it does not allow it.
    #[error(transparent)]
    Association(#[from] AssociationError),
}

impl EntryError {
    /// Whether the entry may turn out to be good later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Verify(error) => error.is_retryable(),
            Self::Decode(_) | Self::Association(_) => false,
        }
    }

    /// The code that deployed software reports for this (identity §13).
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.label(),
            Self::Verify(error) => error.label(),
            Self::Association(error) => error.label(),
        }
    }
}

/// Why a log has no state there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The log is empty, or has no entry with exactly this id. Loading the log again may help.
    #[error("the log has no entry {0}")]
    MissingIdentityUpdate(SequenceId),
    /// An entry at or before the one asked for is bad. No entry is ever skipped.
    #[error("entry {at} of the log is bad")]
    Broken {
        /// The first bad entry.
        at: SequenceId,
        /// What is wrong with it.
        #[source]
        reason: EntryError,
    },
    /// The log served belongs to another inbox.
    #[error("the log served is that of {served}")]
    WrongInboxId {
        /// Whose log it is.
        served: InboxId,
    },
    /// An entry was pushed whose id is not above the last one. The log is unchanged.
    #[error("entry {pushed} does not follow {last}")]
    NotAscending {
        /// Id of the last entry.
        last: SequenceId,
        /// Id of the entry pushed.
        pushed: SequenceId,
    },
}

impl LogError {
    /// Whether the same question may be answered later, when more of the log was loaded or a chain answered.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::MissingIdentityUpdate(_) => true,
            Self::Broken { reason, .. } => reason.is_retryable(),
            Self::WrongInboxId { .. } | Self::NotAscending { .. } => false,
        }
    }

    /// The code that deployed software reports for this (identity §13). `None` for [`LogError::NotAscending`], which
    /// no log of a node gives rise to.
    #[must_use]
    pub const fn label(&self) -> Option<&'static str> {
        match self {
            Self::MissingIdentityUpdate(_) => Some("AssociationError::MissingIdentityUpdate"),
            Self::Broken { reason, .. } => Some(reason.label()),
            Self::WrongInboxId { .. } => Some("AssociationError::WrongInboxId"),
            Self::NotAscending { .. } => None,
        }
    }
}

/// Installations that came and went between two sequence ids, each list sorted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InstallationDiff {
    /// Installations that joined.
    pub added: Vec<InstallationId>,
    /// Installations that left.
    pub removed: Vec<InstallationId>,
}

impl InstallationDiff {
    /// Whether nothing changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// One inbox's log, verified and replayed as it grows.
///
/// Each entry is applied once, when it is pushed. States are kept close enough together that any of them is quick to
/// rebuild, and far enough apart that the whole stays linear in the size of the log, whoever wrote it.
#[derive(Clone, Debug)]
pub struct InboxLog {
    inbox: InboxId,
    /// Sequence id and update of every entry; `None` from the first bad one on, where updates have no use any more.
    entries: Vec<(SequenceId, Option<VerifiedUpdate>)>,
    /// States after some of the entries, by index.
    kept: BTreeMap<usize, AssociationState>,
    /// State after the last entry, unless that is broken or there is none.
    latest: Option<AssociationState>,
    /// Signatures and updates applied since a state was kept.
    work: usize,
    broken: Option<(usize, LogError)>,
}

impl InboxLog {
    /// States up to this size are kept after every entry: nearly all inboxes are smaller.
    const SMALL: usize = 64;
    /// A larger state is kept once this share of its size was applied since the last.
    const SHARE: usize = 4;

    /// An empty log.
    #[must_use]
    pub const fn new(inbox: InboxId) -> Self {
        Self { inbox, entries: Vec::new(), kept: BTreeMap::new(), latest: None, work: 0, broken: None }
    }

    /// The inbox.
    #[must_use]
    pub const fn inbox_id(&self) -> InboxId {
        self.inbox
    }

    /// Sequence id of the last entry, good or bad; [`SequenceId::START`] if there is none.
    #[must_use]
    pub fn last_sequence(&self) -> SequenceId {
        self.entries.last().map_or(SequenceId::START, |(sequence, _)| *sequence)
    }

    /// How many entries there are; nodes refuse more than 256 (identity §8.1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends an entry and applies it. A failing entry stays in the log: from there on there are no states.
    ///
    /// # Errors
    /// [`LogError::NotAscending`], and nothing was appended; [`LogError::Broken`] if this entry or one before it is
    /// bad; [`LogError::WrongInboxId`] if it created another inbox.
    pub fn push(&mut self, sequence: SequenceId, update: &VerifiedUpdate) -> Result<(), LogError> {
        self.push_or_stop(sequence, update).map_err(|(error, _)| error)
    }

    /// The same; fails also with the index of the action that cannot be applied, if it is about one.
    pub(crate) fn push_or_stop(
        &mut self,
        sequence: SequenceId,
        update: &VerifiedUpdate,
    ) -> Result<(), (LogError, Option<usize>)> {
        self.check_ascending(sequence).map_err(|error| (error, None))?;
        if let Some((_, error)) = &self.broken {
            let error = error.clone();
            self.entries.push((sequence, None));
            return Err((error, None));
        }
        match AssociationState::apply_or_stop(self.latest.take(), update) {
            Ok(state) if state.inbox_id() != self.inbox => {
                Err((self.push_broken(sequence, LogError::WrongInboxId { served: state.inbox_id() }), None))
            }
            Ok(state) => {
                self.entries.push((sequence, Some(update.clone())));
                self.work += 1 + update.signatures().count();
                self.keep(&state);
                self.latest = Some(state);
                Ok(())
            }
            Err(stop) => {
                let error = LogError::Broken { at: sequence, reason: stop.error.into() };
                Err((self.push_broken(sequence, error), stop.action))
            }
        }
    }

    /// Appends an entry that does not decode or verify. Do not use it for an error that is retryable, unless the log
    /// is thrown away before the retry.
    ///
    /// # Errors
    /// [`LogError::NotAscending`], and nothing was appended.
    pub fn push_refused(&mut self, sequence: SequenceId, reason: impl Into<EntryError>) -> Result<(), LogError> {
        self.check_ascending(sequence)?;
        if self.broken.is_some() {
            self.entries.push((sequence, None));
        } else {
            self.push_broken(sequence, LogError::Broken { at: sequence, reason: reason.into() });
        }
        Ok(())
    }

    /// The state after the entry with exactly this id (identity §9.3).
    ///
    /// # Errors
    /// [`LogError::MissingIdentityUpdate`] if there is no such entry, else [`LogError::Broken`] or
    /// [`LogError::WrongInboxId`] if it or one before it is bad.
    pub fn state_at(&self, sequence: SequenceId) -> Result<AssociationState, LogError> {
        let index = self
            .entries
            .binary_search_by_key(&sequence, |(sequence, _)| *sequence)
            .map_err(|_| LogError::MissingIdentityUpdate(sequence))?;
        self.state_after(index)
    }

    /// The state after the last entry.
    ///
    /// # Errors
    /// [`LogError::MissingIdentityUpdate`] for an empty log, else as for [`state_at`](Self::state_at).
    pub fn latest(&self) -> Result<AssociationState, LogError> {
        let last = self.entries.len().checked_sub(1).ok_or(LogError::MissingIdentityUpdate(SequenceId::START))?;
        self.state_after(last)
    }

    /// How the creation of the inbox was signed, so that an application can tell contract wallets apart
    /// (identity §9.6); `None` as long as the log has no usable first entry.
    #[must_use]
    pub fn creation_kind(&self) -> Option<SignatureKind> {
        let (_, first) = self.entries.first()?;
        // An inbox begins with its creation: nothing else can be applied to an empty log.
        first.as_ref()?.signatures().next().map(VerifiedSignature::kind)
    }

    /// Installations that came and went after `from`, up to `to` (identity §9.4). [`SequenceId::START`] as `from`
    /// means everything. If the log has nothing after `from` and up to `to`, the answer is an empty difference even
    /// when `to` is not in the log: so does everybody else.
    ///
    /// # Errors
    /// As for [`state_at`](Self::state_at), of either end.
    pub fn installation_diff(&self, from: SequenceId, to: SequenceId) -> Result<InstallationDiff, LogError> {
        if from == SequenceId::START {
            return Ok(installations_between(None, &self.state_at(to)?));
        }
        let before = self.state_at(from)?;
        let entries_up_to = |sequence| self.entries.partition_point(|(known, _)| *known <= sequence);
        if entries_up_to(to) <= entries_up_to(from) {
            return Ok(InstallationDiff::default());
        }
        Ok(installations_between(Some(&before), &self.state_at(to)?))
    }

    fn state_after(&self, index: usize) -> Result<AssociationState, LogError> {
        if let Some((first, error)) = &self.broken
            && *first <= index
        {
            return Err(error.clone());
        }
        if let (Some(latest), true) = (&self.latest, index + 1 == self.entries.len()) {
            return Ok(latest.clone());
        }
        let kept = self.kept.range(..=index).next_back();
        let (start, state) = kept.map_or((0, None), |(kept, state)| (kept + 1, Some(state)));
        let updates = self.entries[start..=index].iter().filter_map(|(_, update)| update.as_ref());
        // Cannot fail: the same updates were applied when they were pushed.
        let at = self.entries[index].0;
        AssociationState::replay(state, updates).map_err(|error| LogError::Broken { at, reason: error.into() })
    }

    fn check_ascending(&self, pushed: SequenceId) -> Result<(), LogError> {
        let last = self.last_sequence();
        if pushed > last { Ok(()) } else { Err(LogError::NotAscending { last, pushed }) }
    }

    fn push_broken(&mut self, sequence: SequenceId, error: LogError) -> LogError {
        self.broken = Some((self.entries.len(), error.clone()));
        self.entries.push((sequence, None));
        self.latest = None;
        error
    }

    /// Keeps the state after the last entry if that pays.
    fn keep(&mut self, state: &AssociationState) {
        if state.size() <= Self::SMALL || self.work * Self::SHARE >= state.size() {
            self.kept.insert(self.entries.len() - 1, state.clone());
            self.work = 0;
        }
    }
}

fn installations_between(old: Option<&AssociationState>, new: &AssociationState) -> InstallationDiff {
    let diff = AssociationState::diff(old, new);
    let installations = |members: &[MemberIdentifier]| members.iter().filter_map(|m| m.as_installation()).collect();
    InstallationDiff { added: installations(&diff.new_members), removed: installations(&diff.removed_members) }
}

#[cfg(test)]
mod tests {
    use subrosa_types::UnixNanos;

    use super::*;
    use crate::{ChainVerdicts, InstallationKey, SignatureRequest, WalletKey, inbox_id};

    /// One update that creates an inbox with many installations, then many that do nothing: the log that would be most
    /// expensive if every state were kept.
    #[test]
    fn states_are_kept_far_enough_apart() {
        let wallet = WalletKey::from_bytes(&[1; 32]).unwrap();
        let owner = wallet.identifier();
        let inbox = inbox_id(&owner, 1).unwrap();
        let keys: Vec<_> = (0..200).map(|seed| InstallationKey::from_seed([seed; 32])).collect();
        let mut builder = SignatureRequest::builder(inbox, UnixNanos::EPOCH).create_inbox(owner.clone(), 1);
        for key in &keys {
            builder = builder.add_association(key.id(), &owner);
        }
        let mut request = builder.request();
        request.add_wallet_signature(&wallet.sign(request.text())).unwrap();
        for key in &keys {
            request.sign_with_installation(key).unwrap();
        }
        let first = request.build().unwrap().verify(&ChainVerdicts::none()).unwrap();
        let nothing = SignatureRequest::builder(inbox, UnixNanos::EPOCH).request().build().unwrap();
        let nothing = nothing.verify(&ChainVerdicts::none()).unwrap();

        let mut log = InboxLog::new(inbox);
        assert_eq!(log.creation_kind(), None);
        log.push(SequenceId(1), &first).unwrap();
        assert_eq!(log.creation_kind(), Some(SignatureKind::Erc191));
        for sequence in 2..=1_000 {
            log.push(SequenceId(sequence), &nothing).unwrap();
        }
        let work = 1 + first.signatures().count() + 999;
        let kept: usize = log.kept.values().map(AssociationState::size).sum();
        assert!(kept <= InboxLog::SHARE * work, "{kept} items kept for {work} applied");
        for sequence in [1, 2, 150, 999, 1_000] {
            assert_eq!(log.state_at(SequenceId(sequence)).unwrap().installations().count(), 200);
        }
    }
}
