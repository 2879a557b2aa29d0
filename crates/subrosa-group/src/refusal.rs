//! Why a commit is refused (groups §10.2, §10.3).

use subrosa_envelope::CommitResult;
use subrosa_types::{InboxId, InstallationId, SequenceId};

use crate::{MembershipError, context::ContextError};

/// Why a commit that MLS accepted must not be applied. Every variant but [`Refusal::VersionTooLow`] is final: the
/// cursor moves, the state does not, and the commit is logged as invalid.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The context before the commit cannot be used (catalogue no. 21).
    #[error("the group's context is unusable")]
    OldContext(#[source] ContextError),
    /// The new context has no usable mutable metadata (22, 23).
    #[error("the new mutable metadata is unusable")]
    MutableMetadata(#[source] ContextError),
    /// A changed attribute is too long (24).
    #[error("attribute {key} has {got} bytes, {limit} are allowed")]
    TooManyCharacters {
        /// The attribute.
        key: String,
        /// Its limit in bytes.
        limit: usize,
        /// Its length in bytes.
        got: usize,
    },
    /// The new context has no usable permissions (25).
    #[error("the new permissions are unusable")]
    Permissions(#[source] ContextError),
    /// Proposals of different members, or a path by another than the proposer (26).
    #[error("more than one member acts in the commit")]
    MultipleActors,
    /// A proposer is not a member (27).
    #[error("the actor is not a member")]
    ActorNotMember,
    /// Neither path nor proposal (28).
    #[error("nobody acts in the commit")]
    ActorNotFound,
    /// The commit uses a pre-shared key (29).
    #[error("pre-shared keys are not used")]
    PreSharedKey,
    /// The new context has no usable membership (30).
    #[error("the new membership is unusable")]
    Membership(#[source] ContextError),
    /// A sequence id became smaller (31).
    #[error("the sequence id of inbox {inbox:?} falls from {old} to {new}")]
    SequenceDecreased {
        /// Whose.
        inbox: InboxId,
        /// Before.
        old: SequenceId,
        /// After.
        new: SequenceId,
    },
    /// A needed identity log entry does not exist (32).
    #[error("the identity log of inbox {inbox:?} has no entry {sequence}")]
    MissingIdentity {
        /// Whose log.
        inbox: InboxId,
        /// The entry.
        sequence: SequenceId,
    },
    /// An installation was added that belongs to nobody who came in (35).
    #[error("installation {0:?} was added unexpectedly")]
    UnexpectedAdd(InstallationId),
    /// Leaves were removed that should stay, or left in that should go (36 to 38).
    #[error("{} leaves were removed unexpectedly, {} were left in", extra.len(), missing.len())]
    UnexpectedRemoves {
        /// Removed although expected to stay.
        extra: Vec<InstallationId>,
        /// Left in although expected to go.
        missing: Vec<InstallationId>,
    },
    /// The inbox of the actor or of an updated leaf is not in the new membership (41).
    #[error("inbox {0:?} acts but is not a member afterwards")]
    SubjectNotMember(InboxId),
    /// The actor's or an updated leaf's installation is not in its inbox's state (42).
    #[error("installation {installation:?} does not belong to inbox {inbox:?}")]
    SubjectNotInInbox {
        /// The inbox claimed.
        inbox: InboxId,
        /// The installation.
        installation: InstallationId,
    },
    /// A credential to verify is not basic or names no inbox (43).
    #[error("a credential names no inbox")]
    Credential,
    /// A policy forbids it (44 to 49).
    #[error("the actor may not {0}")]
    InsufficientPermissions(Forbidden),
    /// The minimum version is not a version (50).
    #[error("the minimum version cannot be read")]
    MinimumVersion,
    /// The group's minimum version is above ours (51). Not final: pause the group, keep the cursor, log nothing
    /// (groups §3.6).
    #[error("the group needs version {needs}")]
    VersionTooLow {
        /// The version needed, as written in the group.
        needs: String,
    },
}

/// What an actor was not allowed to do (groups §3.5).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Forbidden {
    /// Add this inbox.
    AddInbox(InboxId),
    /// Remove this inbox.
    RemoveInbox(InboxId),
    /// Remove this inbox, because it is a super admin.
    RemoveSuperAdminInbox(InboxId),
    /// Change the attribute with this key.
    Attribute(String),
    /// Add admins.
    AddAdmin,
    /// Remove admins.
    RemoveAdmin,
    /// Add super admins.
    AddSuperAdmin,
    /// Remove super admins.
    RemoveSuperAdmin,
    /// Remove the last super admin.
    RemoveLastSuperAdmin,
    /// Change permissions.
    Permissions,
}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AddInbox(inbox) => write!(f, "add inbox {inbox:?}"),
            Self::RemoveInbox(inbox) => write!(f, "remove inbox {inbox:?}"),
            Self::RemoveSuperAdminInbox(inbox) => write!(f, "remove inbox {inbox:?}, a super admin"),
            Self::Attribute(key) => write!(f, "change attribute {key}"),
            Self::AddAdmin => write!(f, "add admins"),
            Self::RemoveAdmin => write!(f, "remove admins"),
            Self::AddSuperAdmin => write!(f, "add super admins"),
            Self::RemoveSuperAdmin => write!(f, "remove super admins"),
            Self::RemoveLastSuperAdmin => write!(f, "remove the last super admin"),
            Self::Permissions => write!(f, "change permissions"),
        }
    }
}

impl Refusal {
    /// Whether the same commit may be accepted later, by a newer version of this software. Every other refusal is
    /// final (groups §3.4, last paragraph).
    #[must_use]
    pub const fn pauses(&self) -> bool {
        matches!(self, Self::VersionTooLow { .. })
    }

    /// How the local commit log records it; `None` if nothing is recorded (groups §5.4).
    #[must_use]
    pub const fn commit_result(&self) -> Option<CommitResult> {
        if self.pauses() { None } else { Some(CommitResult::Invalid) }
    }
}

impl From<MembershipError> for Refusal {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::SequenceDecreased { inbox, old, new } => Self::SequenceDecreased { inbox, old, new },
            MembershipError::MissingIdentity { inbox, sequence } => Self::MissingIdentity { inbox, sequence },
        }
    }
}
