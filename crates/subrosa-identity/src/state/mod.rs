//! The association state: who belongs to an inbox (identity §6).

mod apply;
mod proto;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use subrosa_types::{InboxId, InstallationId};

pub(crate) use apply::Stop;

use crate::{Identifier, MemberIdentifier, VerifiedUpdate};

/// What replaying a prefix of an identity log gives (identity §6.1). Cheap to clone.
#[derive(Clone, Eq, PartialEq)]
pub struct AssociationState {
    inner: Arc<Inner>,
}

#[derive(Clone, Eq, PartialEq)]
struct Inner {
    inbox_id: InboxId,
    members: BTreeMap<MemberIdentifier, Member>,
    /// Installations by who added them, so that a cascade does not look at every member.
    added_by: BTreeMap<MemberIdentifier, BTreeSet<MemberIdentifier>>,
    recovery_identifier: Identifier,
    seen_signatures: BTreeSet<Vec<u8>>,
}

/// One member and how it came.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Member {
    /// Who.
    pub identifier: MemberIdentifier,
    /// Who signed as existing member; `None` for the identifier that created the inbox.
    pub added_by: Option<MemberIdentifier>,
    /// Sender's clock of the update that added it, in nanoseconds; `None` for the identifier that created the inbox.
    pub client_timestamp_ns: Option<u64>,
    /// Chain of a contract wallet. It must sign from this chain as long as it is a member.
    pub added_on_chain_id: Option<u64>,
}

/// Why a verified update cannot be applied. Never temporary (identity §6.3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssociationError {
    /// The inbox exists already.
    #[error("the inbox was created before")]
    MultipleCreate,
    /// The inbox does not exist yet.
    #[error("the inbox was not created")]
    NotCreated,
    /// The signer is not who has to sign: no member and not the recovery identifier.
    #[error("the signer has no say in this inbox")]
    MissingExistingMember,
    /// A member of this kind cannot add one of that kind.
    #[error("an installation cannot add an installation")]
    MemberNotAllowed,
    /// A version-2 key is used where it may not stand in for its wallet.
    #[error("a legacy key is used outside its one registration")]
    LegacySignatureReuse,
    /// The new member did not sign itself.
    #[error("the new member is not the one that signed")]
    NewMemberIdSignatureMismatch,
    /// A member adds itself.
    #[error("a member adds itself")]
    AddSelf,
    /// The update is for another inbox.
    #[error("the update is for another inbox")]
    WrongInboxId,
    /// A signature of this kind is not allowed here.
    #[error("a signature of this kind is not allowed here")]
    SignatureNotAllowed,
    /// A signature was used by an earlier update.
    #[error("a signature was used before")]
    Replay,
    /// A member signed from another chain than it was added on, or is a contract wallet on one side only.
    #[error("a member signed from chain {signature:?}, it was added on {member:?}")]
    ChainIdMismatch {
        /// Chain on which the member was added.
        member: Option<u64>,
        /// Chain of its signature.
        signature: Option<u64>,
    },
    /// No inbox id can be derived from the creating address.
    #[error("no inbox id can be derived from the address")]
    InvalidAccountAddress,
}

impl AssociationError {
    /// The code that deployed software reports for this (identity §13).
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::MultipleCreate => "AssociationError::MultipleCreate",
            Self::NotCreated => "AssociationError::NotCreated",
            Self::MissingExistingMember => "AssociationError::MissingExistingMember",
            Self::MemberNotAllowed => "AssociationError::MemberNotAllowed",
            Self::LegacySignatureReuse => "AssociationError::LegacySignatureReuse",
            Self::NewMemberIdSignatureMismatch => "AssociationError::NewMemberIdSignatureMismatch",
            Self::AddSelf => "AssociationError::Generic",
            Self::WrongInboxId => "AssociationError::WrongInboxId",
            Self::SignatureNotAllowed => "AssociationError::SignatureNotAllowed",
            Self::Replay => "AssociationError::Replay",
            Self::ChainIdMismatch { .. } => "AssociationError::ChainIdMismatch",
            Self::InvalidAccountAddress => "AssociationError::InvalidAccountAddress",
        }
    }
}

/// Members that came and went between two states (identity §6.7). Who was added again is in neither list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct StateDiff {
    /// In the new state only.
    pub new_members: Vec<MemberIdentifier>,
    /// In the old state only.
    pub removed_members: Vec<MemberIdentifier>,
}

impl AssociationState {
    /// Applies an update to the state before it, or to nothing (identity §6.2). The state before is left as it is.
    ///
    /// # Errors
    /// [`AssociationError`] of the first check that fails.
    pub fn apply(before: Option<&Self>, update: &VerifiedUpdate) -> Result<Self, AssociationError> {
        Self::apply_owned(before.cloned(), update)
    }

    /// Applies updates one after the other, copying the state before them once at most.
    ///
    /// # Errors
    /// [`AssociationError`] of the first update that fails; [`AssociationError::NotCreated`] for no update and no
    /// state.
    pub fn replay<'a>(
        before: Option<&Self>,
        updates: impl IntoIterator<Item = &'a VerifiedUpdate>,
    ) -> Result<Self, AssociationError> {
        let mut state = before.cloned();
        for update in updates {
            state = Some(Self::apply_owned(state.take(), update)?);
        }
        state.ok_or(AssociationError::NotCreated)
    }

    /// Applies an update in place if nobody else holds the state.
    pub(crate) fn apply_owned(before: Option<Self>, update: &VerifiedUpdate) -> Result<Self, AssociationError> {
        Self::apply_or_stop(before, update).map_err(|stop| stop.error)
    }

    /// The same, and where it stopped.
    pub(crate) fn apply_or_stop(before: Option<Self>, update: &VerifiedUpdate) -> Result<Self, Stop> {
        let before = before.map(|state| Arc::unwrap_or_clone(state.inner));
        Ok(Self { inner: Arc::new(apply::apply(before, update)?) })
    }

    /// The inbox.
    #[must_use]
    pub fn inbox_id(&self) -> InboxId {
        self.inner.inbox_id
    }

    /// All members, in listing order (identity §6.8): by time, those without one last, then by identifier.
    #[must_use]
    pub fn members(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.inner.members.values().collect();
        members.sort_by(|a, b| listing_order(a, b));
        members
    }

    /// A member.
    #[must_use]
    pub fn member(&self, identifier: &MemberIdentifier) -> Option<&Member> {
        self.inner.members.get(identifier)
    }

    /// Whether this is a member.
    #[must_use]
    pub fn has_member(&self, identifier: &MemberIdentifier) -> bool {
        self.inner.members.contains_key(identifier)
    }

    /// The member identifiers that are not installations, in listing order.
    #[must_use]
    pub fn identifiers(&self) -> Vec<Identifier> {
        self.members().into_iter().filter_map(|member| member.identifier.as_identifier()).collect()
    }

    /// The installations, in listing order.
    pub fn installations(&self) -> impl Iterator<Item = InstallationId> {
        self.members().into_iter().filter_map(|member| member.identifier.as_installation())
    }

    /// Whether this installation is a member.
    #[must_use]
    pub fn has_installation(&self, installation: &InstallationId) -> bool {
        self.has_member(&installation.into())
    }

    /// Who may revoke members and name another recovery identifier. Need not be a member.
    #[must_use]
    pub fn recovery_identifier(&self) -> &Identifier {
        &self.inner.recovery_identifier
    }

    /// The values of all signatures of all updates so far, by which replays are caught.
    pub fn seen_signatures(&self) -> impl Iterator<Item = &[u8]> {
        self.inner.seen_signatures.iter().map(Vec::as_slice)
    }

    /// Whether this update was applied: all of its signatures were seen, and no other update has their text
    /// (identity §4.2, §6.2). True for an update without signatures, which leaves no trace.
    #[must_use]
    pub fn has_applied(&self, update: &VerifiedUpdate) -> bool {
        update.signatures().all(|signature| self.inner.seen_signatures.contains(signature.seen_value()))
    }

    /// What changed from `old` to `new`; from nothing, every member is new (identity §6.7).
    #[must_use]
    pub fn diff(old: Option<&Self>, new: &Self) -> StateDiff {
        let only_in = |a: &Self, b: Option<&Self>| {
            let missing = a.inner.members.values().filter(|m| !b.is_some_and(|b| b.has_member(&m.identifier)));
            missing.map(|m| m.identifier.clone()).collect()
        };
        StateDiff {
            new_members: only_in(new, old),
            removed_members: old.map(|old| only_in(old, Some(new))).unwrap_or_default(),
        }
    }

    /// How many items the state holds, to decide when keeping a copy pays.
    pub(crate) fn size(&self) -> usize {
        self.inner.members.len() + self.inner.seen_signatures.len()
    }
}

impl fmt::Debug for AssociationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssociationState")
            .field("inbox_id", &self.inner.inbox_id)
            .field("members", &self.members())
            .field("recovery_identifier", &self.inner.recovery_identifier)
            .finish_non_exhaustive()
    }
}

fn listing_order(a: &Member, b: &Member) -> Ordering {
    let time = |member: &Member| (member.client_timestamp_ns.is_none(), member.client_timestamp_ns);
    time(a).cmp(&time(b)).then_with(|| a.identifier.cmp(&b.identifier))
}
