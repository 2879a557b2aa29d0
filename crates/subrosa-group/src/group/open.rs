//! Opening what the network brings, without applying it (groups §5.3), and taking up our own commits again (§5.2).

use std::fmt;

use openmls::{
    framing::{MlsMessageBodyIn, MlsMessageIn, ProcessedMessage, ProcessedMessageContent, Sender as MlsSender},
    group::{ProcessMessageError, ProposalValidationError, StageCommitError, StagedCommit, ValidationError},
    key_packages::errors::KeyPackageVerifyError,
    prelude::{ContentType, LeafNodeIndex, PrivateMessageIn, tls_codec::Deserialize as _},
    treesync::errors::{LeafNodeValidationError, LifetimeError},
};
use subrosa_envelope::CommitResult;
use subrosa_types::Epoch;

use super::Group;
use crate::{
    context::{Context, Membership},
    directory::{IdentityNeed, membership_needs},
    leaf::{self, Leaf, Sender},
    profile,
    rows::{self, RowError, label},
};

/// What a group message holds.
#[derive(Debug)]
#[non_exhaustive]
pub enum Opened {
    /// An application payload. Its ratchet step is taken; drain it with the payload's effects.
    Application(ApplicationMessage),
    /// A commit, decrypted and staged but not judged. Merge it or drop the group object.
    Commit(Box<OpenedCommit>),
    /// A stand-alone proposal: not stored, without effect (groups §3.7).
    Proposal,
}

/// A decrypted application payload.
#[derive(Clone, Eq, PartialEq)]
pub struct ApplicationMessage {
    /// Who sent it, as its leaf claims. Before the payload has any effect, the installation must be found in the
    /// state of the inbox at the sequence mapped in the membership (groups §7.3).
    pub sender: Sender,
    /// Position of the sender's leaf.
    pub leaf: u32,
    /// The epoch it was made in.
    pub epoch: Epoch,
    /// The payload: a serialised `PlaintextEnvelope`.
    pub plaintext: Vec<u8>,
}

impl fmt::Debug for ApplicationMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sender, leaf, epoch, plaintext: _ } = self;
        f.debug_struct("ApplicationMessage")
            .field("sender", sender)
            .field("leaf", leaf)
            .field("epoch", epoch)
            .finish_non_exhaustive()
    }
}

/// A commit that MLS accepted, staged and not merged. It knows the state it was staged on.
#[derive(Debug)]
pub struct OpenedCommit {
    pub(super) staged: StagedCommit,
    pub(super) base: Base,
    needs: Vec<IdentityNeed>,
}

/// The state a commit was staged on. The MLS library merges onto any state without complaint; we do not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Base {
    pub(super) epoch: Epoch,
    pub(super) authenticator: Vec<u8>,
}

/// Why a message does not open. None of them touches the group, except [`OpenError::Storage`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The bytes are not an MLS message.
    #[error("the bytes are not an MLS message")]
    Malformed,
    /// An MLS message, but not a private one: nobody sends those to groups.
    #[error("only private messages are supported")]
    Unsupported,
    /// The message names another group.
    #[error("the message belongs to another group")]
    OtherGroup,
    /// This installation was removed from the group. Keep the cursor: a re-add may come.
    #[error("the group is inactive")]
    Inactive,
    /// A commit or proposal of another epoch, or any message of a future one.
    #[error("the message is of epoch {message}, the group is at {group}")]
    WrongEpoch {
        /// The message's epoch.
        message: Epoch,
        /// The group's epoch.
        group: Epoch,
    },
    /// An application message of an epoch whose secrets are gone, or were never ours.
    #[error("the message is of epoch {message}, which cannot be read any more")]
    TooOld {
        /// The message's epoch.
        message: Epoch,
    },
    /// The message claims to come from our own leaf and was not recognised by its hash. An unauthenticated claim; if
    /// true, this database is a copy or was set back (groups §9).
    #[error("the message claims to be our own")]
    OwnMessage,
    /// Decryption, signature, membership, or a rule of MLS failed.
    #[error("the message cannot be processed")]
    Undecryptable(#[source] Box<ProcessMessageError<RowError>>),
    /// The sender is not a member now, or its credential changed or names no inbox.
    #[error("the sender is not a member")]
    InvalidSender,
    /// The commit adds a key package that has expired or is not yet valid by the system clock. Valid for everyone
    /// else: do not skip it, hold the group and be re-added (groups §9.1).
    #[error("the commit adds a key package outside its lifetime")]
    ExpiredAdd(#[source] LifetimeError),
    /// Stored rows could not be read. Drop the group object.
    #[error("stored group state")]
    Storage(#[source] RowError),
}

/// Why our own staged commit cannot be taken up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RestageError {
    /// It was built on another state. Build it anew.
    #[error("the commit was built on epoch {built_on}, the group is at {group}, or a fork of it")]
    Stale {
        /// The epoch it was built on.
        built_on: Epoch,
        /// The group's epoch.
        group: Epoch,
    },
    /// The stored bytes are damaged.
    #[error(transparent)]
    Rows(#[from] RowError),
}

impl OpenError {
    /// How the local commit log records this failure of a commit; `None` where nothing is recorded (groups §5.4).
    #[must_use]
    pub const fn commit_result(&self) -> Option<CommitResult> {
        match self {
            Self::WrongEpoch { .. } => Some(CommitResult::WrongEpoch),
            Self::Undecryptable(_) | Self::InvalidSender | Self::OwnMessage | Self::TooOld { .. } => {
                Some(CommitResult::Undecryptable)
            }
            Self::Malformed
            | Self::Unsupported
            | Self::OtherGroup
            | Self::Inactive
            | Self::ExpiredAdd(_)
            | Self::Storage(_) => None,
        }
    }
}

impl OpenedCommit {
    /// The identity logs that [`Group::judge`] needs. Ask the network for those that are not known that far; what it
    /// does not have does not exist.
    #[must_use]
    pub fn needs(&self) -> &[IdentityNeed] {
        &self.needs
    }

    fn new(group: &Group, staged: StagedCommit) -> Self {
        let base = Base { epoch: group.epoch(), authenticator: group.epoch_authenticator() };
        let needs = needs(group, &staged).unwrap_or_default();
        Self { staged, base, needs }
    }
}

impl Group {
    /// Opens a group message (groups §5.3, steps 1 to 3).
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&mut self, data: &[u8]) -> Result<Opened, OpenError> {
        let message = self.frame(data)?;
        let epoch = Epoch(message.epoch().as_u64());
        let processed = self
            .mls
            .process_message(&self.provider, message)
            .map_err(|error| OpenError::of(error, epoch, self.epoch()))?;
        if matches!(processed.content(), ProcessedMessageContent::OwnPrivateMessage) {
            return Err(OpenError::OwnMessage);
        }
        let (leaf, sender) = self.sender(&processed)?;
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                Ok(Opened::Application(ApplicationMessage { sender, leaf, epoch, plaintext: message.into_bytes() }))
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                Ok(Opened::Commit(Box::new(OpenedCommit::new(self, *staged))))
            }
            _ => Ok(Opened::Proposal),
        }
    }

    /// Takes up our own commit when it comes back from the network: never decrypted, only recognised by its hash
    /// (groups §5.2). `staged`, `base_epoch` and `base_authenticator` are those of the prepared commit.
    ///
    /// # Errors
    /// [`RestageError::Stale`] unless the group is in exactly the state it was built on.
    pub fn restage(
        &self,
        staged: &[u8],
        base_epoch: Epoch,
        base_authenticator: &[u8],
    ) -> Result<OpenedCommit, RestageError> {
        if base_epoch != self.epoch() || base_authenticator != self.epoch_authenticator() {
            return Err(RestageError::Stale { built_on: base_epoch, group: self.epoch() });
        }
        let staged: StagedCommit = rows::decode(label::GROUP_STATE, staged)?;
        Ok(OpenedCommit::new(self, staged))
    }

    fn frame(&self, data: &[u8]) -> Result<PrivateMessageIn, OpenError> {
        // Bytes after the message are tolerated, as everybody does. The decoder from a reader is the one that does not
        // assert on lengths that reach too far.
        let message = MlsMessageIn::tls_deserialize(&mut &*data).map_err(|_| OpenError::Malformed)?;
        let message = match message.extract() {
            MlsMessageBodyIn::PrivateMessage(message) => message,
            _ => return Err(OpenError::Unsupported),
        };
        if message.group_id().as_slice() != self.id.as_bytes() {
            return Err(OpenError::OtherGroup);
        }
        if !self.is_active() {
            return Err(OpenError::Inactive);
        }
        let (epoch, group) = (Epoch(message.epoch().as_u64()), self.epoch());
        let handshake = message.content_type() != ContentType::Application;
        if epoch > group || (handshake && epoch != group) {
            return Err(OpenError::WrongEpoch { message: epoch, group });
        }
        let oldest = group.0.saturating_sub(u64::try_from(profile::PAST_EPOCHS).unwrap_or(u64::MAX));
        if epoch.0 < oldest {
            return Err(OpenError::TooOld { message: epoch });
        }
        Ok(message)
    }

    /// The sender must be a leaf of the current tree with the credential that was authenticated.
    fn sender(&self, processed: &ProcessedMessage) -> Result<(u32, Sender), OpenError> {
        let MlsSender::Member(index) = processed.sender() else {
            return Err(OpenError::InvalidSender);
        };
        let member = self.mls.member_at(*index).ok_or(OpenError::InvalidSender)?;
        if member.credential != *processed.credential() {
            return Err(OpenError::InvalidSender);
        }
        let leaf = Leaf::of_member(&member).ok_or(OpenError::InvalidSender)?;
        let inbox = leaf.inbox.ok_or(OpenError::InvalidSender)?;
        Ok((leaf.index, Sender { inbox, installation: leaf.installation }))
    }

    pub(super) fn leaf_at(&self, index: LeafNodeIndex) -> Option<Leaf> {
        Leaf::of_member(&self.mls.member_at(index)?)
    }
}

impl OpenError {
    fn of(error: ProcessMessageError<RowError>, message: Epoch, group: Epoch) -> Self {
        use ProcessMessageError as E;
        match error {
            E::StorageError(error) => Self::Storage(error),
            E::GroupStateError(_) => Self::Inactive,
            E::ValidationError(ValidationError::WrongGroupId) => Self::OtherGroup,
            E::ValidationError(ValidationError::WrongEpoch) | E::InvalidCommit(StageCommitError::EpochMismatch) => {
                Self::WrongEpoch { message, group }
            }
            E::ValidationError(ValidationError::NoPastEpochData) => Self::TooOld { message },
            E::ValidationError(ValidationError::UnknownMember) => Self::InvalidSender,
            other => match lifetime_error(&other) {
                Some(lifetime) => Self::ExpiredAdd(lifetime),
                None => Self::Undecryptable(Box::new(other)),
            },
        }
    }
}

/// The lifetime error inside, wherever the library met it first.
fn lifetime_error(error: &ProcessMessageError<RowError>) -> Option<LifetimeError> {
    use ProcessMessageError as E;
    match error {
        E::ValidationError(ValidationError::KeyPackageVerifyError(KeyPackageVerifyError::LifetimeError(inner))) => {
            Some(inner.clone())
        }
        E::InvalidCommit(
            StageCommitError::LeafNodeValidation(LeafNodeValidationError::Lifetime(inner))
            | StageCommitError::ProposalValidationError(ProposalValidationError::LeafNodeValidation(
                LeafNodeValidationError::Lifetime(inner),
            )),
        ) => Some(inner.clone()),
        _ => None,
    }
}

/// Identity logs that a verdict reads: those of changed memberships and of everybody whose leaf is checked.
fn needs(group: &Group, staged: &StagedCommit) -> Option<Vec<IdentityNeed>> {
    let old = group.context().membership().ok()?;
    let after = Context::read(staged.group_context().extensions());
    let new: &Membership = after.membership().ok()?;
    let mut needs = membership_needs(old, new);
    let updated = staged.update_proposals().filter_map(|update| leaf::sender_of(update.update_proposal().leaf_node()));
    let path = staged.update_path_leaf_node().and_then(leaf::sender_of);
    for subject in updated.chain(path) {
        if let Some(sequence) = new.members.get(&subject.inbox) {
            needs.push(IdentityNeed { inbox: subject.inbox, up_to: *sequence });
        }
    }
    needs.sort();
    needs.dedup();
    Some(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_add_is_told_apart_wherever_the_library_meets_it() {
        use ProcessMessageError as E;
        let expired = LifetimeError::Expired { not_after: 1, now: 2 };
        let leaf = || LeafNodeValidationError::Lifetime(expired.clone());
        let key_package = KeyPackageVerifyError::LifetimeError(expired.clone());
        let all: [ProcessMessageError<RowError>; 3] = [
            E::ValidationError(ValidationError::KeyPackageVerifyError(key_package)),
            E::InvalidCommit(StageCommitError::LeafNodeValidation(leaf())),
            E::InvalidCommit(StageCommitError::ProposalValidationError(ProposalValidationError::LeafNodeValidation(
                leaf(),
            ))),
        ];
        for error in all {
            let error = OpenError::of(error, Epoch(1), Epoch(1));
            assert!(matches!(&error, OpenError::ExpiredAdd(lifetime) if *lifetime == expired));
            assert_eq!(error.commit_result(), None);
        }
    }

    #[test]
    fn results_in_the_commit_log_follow_the_error() {
        let (message, group) = (Epoch(1), Epoch(2));
        let of = |error| OpenError::of(error, message, group).commit_result();
        use ProcessMessageError as E;
        assert_eq!(of(E::ValidationError(ValidationError::WrongEpoch)), Some(CommitResult::WrongEpoch));
        assert_eq!(of(E::InvalidCommit(StageCommitError::MissingProposal)), Some(CommitResult::Undecryptable));
        assert_eq!(of(E::ValidationError(ValidationError::UnknownMember)), Some(CommitResult::Undecryptable));
        assert_eq!(of(E::StorageError(RowError::Decode(1))), None);
    }
}
