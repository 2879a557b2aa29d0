//! What can fail, one type for each family of operations, sorted by who has to act.

use subrosa_identity::{AssociationError, DecodeError, IdentifierError, LogError, SignatureRequestError, VerifyError};
use subrosa_intent::IntentError;
use subrosa_store::StoreError;
use subrosa_sync::MachineError;
use subrosa_transport::{NetworkError, NodeMessage};
use subrosa_types::{GroupId, InboxId, MessageId};

/// Something outside of this client did not answer. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The network failed, or the node refused.
    #[error("the network failed")]
    Network(#[from] NetworkError),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// No chain could be asked about a contract wallet's signature (identity §12.4).
    #[error("a contract wallet's signature in the log of {inbox:?} could not be judged")]
    Chain {
        /// Whose log cannot be followed.
        inbox: InboxId,
        /// What the node said.
        message: NodeMessage,
    },
    /// The runtime stopped before the work was done.
    #[error("the runtime has stopped")]
    Stopped,
}

impl Unavailable {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Network(error) => !error.is_refusal(),
            Self::Store(error) => error.is_retryable(),
            Self::Chain { .. } => true,
            Self::Stopped => false,
        }
    }
}

/// Why a client could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    // The caller has to act.
    /// The database holds another inbox than the one asked for.
    #[error("the inbox is {found:?}, asked for was {asked:?}")]
    InboxIdMismatch {
        /// The inbox asked for.
        asked: InboxId,
        /// The inbox of the database, or of the identifier.
        found: InboxId,
    },
    /// The database holds no identity, and no identifier was given to make one.
    #[error("no identity is stored, and none was asked for")]
    NoIdentity,
    /// The inbox has as many installations as it may have; revoke one first (identity §11.4).
    #[error("inbox {inbox:?} has {count} installations already")]
    TooManyInstallations {
        /// The inbox.
        inbox: InboxId,
        /// How many it has.
        count: usize,
    },
    /// What was given is no identifier.
    #[error("not an identifier")]
    NotAnIdentifier(#[from] IdentifierError),
    /// The identifier cannot name an inbox.
    #[error("the identifier cannot name an inbox")]
    Identifier(#[from] subrosa_identity::InboxIdError),
    /// A new inbox was asked for, and there is one of this identifier and nonce already: choose another nonce.
    #[error("inbox {inbox:?} exists already")]
    InboxExists {
        /// The inbox.
        inbox: InboxId,
    },

    // The environment has to change.
    /// The database could not be opened.
    #[error("the database could not be opened")]
    Database(#[from] subrosa_store::OpenError),
    /// Something did not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The registration that was begun earlier could not be finished.
    #[error("the registration that was begun could not be finished")]
    Register(#[from] RegisterError),
    /// The operating system gave no random bytes.
    #[error("no random bytes")]
    Random(#[from] subrosa_group::RandomError),

    // Nobody can act: the log is broken.
    /// The log of the inbox cannot be followed.
    #[error("the identity log is not usable")]
    Log(#[from] LogError),
}

impl OpenError {
    /// Whether opening again may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Database(error) => matches!(error, subrosa_store::OpenError::Busy),
            Self::Unavailable(error) => error.is_retryable(),
            Self::Register(error) => error.is_retryable(),
            Self::Random(_) => true,
            Self::InboxIdMismatch { .. }
            | Self::NoIdentity
            | Self::TooManyInstallations { .. }
            | Self::NotAnIdentifier(_)
            | Self::Identifier(_)
            | Self::InboxExists { .. }
            | Self::Log(_) => false,
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<NetworkError> for OpenError {
    fn from(error: NetworkError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why a registration, or another change of the inbox, did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    // The caller has to act.
    /// A signature is missing, of somebody else, or wrong.
    #[error("the signatures are not complete")]
    Request(#[from] SignatureRequestError),
    /// A signature does not verify.
    #[error("a signature does not verify")]
    Signature(#[from] VerifyError),
    /// What was given is no identifier.
    #[error("not an identifier")]
    Identifier(#[from] IdentifierError),
    /// The identifier belongs to an inbox already, and may not leave it (client §1.2).
    #[error("the identifier belongs to inbox {inbox:?}")]
    AlreadyAssociated {
        /// Which inbox.
        inbox: InboxId,
    },
    /// The node refused the update, and it is not in the log. What was prepared is dropped; begin anew.
    #[error("the node refused the update")]
    Refused(#[source] NetworkError),

    // The environment has to change.
    /// Something did not answer. What was prepared stays and is taken up when the client is opened again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The node took the update but does not show it.
    #[error("the node does not show the update it took")]
    NotShown,

    // A defect, here or in the log.
    /// Our own inbox has no log.
    #[error("inbox {0:?} does not exist")]
    UnknownInbox(InboxId),
    /// A key package could not be made.
    #[error("a key package could not be made")]
    KeyPackage(#[from] subrosa_group::NewKeyPackageError),
    /// The stored update is damaged.
    #[error("the stored update is damaged")]
    Stored(#[from] DecodeError),
    /// The stored key package is damaged.
    #[error("the stored key package is damaged")]
    StoredKeyPackage(#[from] subrosa_group::KeyPackageError),
    /// The log of the inbox cannot be followed.
    #[error("the identity log is not usable")]
    Log(#[from] LogError),
    /// The update does not fit the present state of the inbox.
    #[error("the update does not fit the inbox")]
    Association(#[from] AssociationError),
}

impl RegisterError {
    /// Whether trying the same again may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(error) => error.is_retryable(),
            Self::NotShown => true,
            Self::Signature(error) => error.is_retryable(),
            Self::Request(error) => error.is_retryable(),
            Self::Identifier(_)
            | Self::AlreadyAssociated { .. }
            | Self::UnknownInbox(_)
            | Self::Refused(_)
            | Self::KeyPackage(_)
            | Self::Stored(_)
            | Self::StoredKeyPackage(_)
            | Self::Log(_)
            | Self::Association(_) => false,
        }
    }
}

impl From<StoreError> for RegisterError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<NetworkError> for RegisterError {
    fn from(error: NetworkError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<LookupError> for RegisterError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Identifier(error) => Self::Identifier(error),
            LookupError::Unavailable(error) => Self::Unavailable(error),
            LookupError::UnknownInbox(inbox) => Self::UnknownInbox(inbox),
            LookupError::Log(error) => Self::Log(error),
        }
    }
}

/// Why a question about inboxes has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// What was given is no identifier.
    #[error("not an identifier")]
    Identifier(#[from] IdentifierError),
    /// Something did not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The inbox has no log.
    #[error("inbox {0:?} does not exist")]
    UnknownInbox(InboxId),
    /// The inbox's log cannot be followed.
    #[error("the identity log is not usable")]
    Log(#[from] LogError),
}

impl From<StoreError> for LookupError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<NetworkError> for LookupError {
    fn from(error: NetworkError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why a group, or the welcomes, could not be brought up to date. What was processed before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    // The caller has to act.
    /// There is no such conversation here.
    #[error("there is no such conversation here")]
    UnknownConversation,
    /// We are not in the group any more, or it was restored from an archive.
    #[error("the conversation is not active")]
    Inactive,

    // The environment has to change.
    /// A commit waits for identity logs that could not be had; it is tried again with the next sync.
    #[error("a commit waits for identity logs")]
    Held {
        /// Why they could not be had.
        cause: Unavailable,
    },
    /// The network failed, or the node refused.
    #[error("the network failed")]
    Network(#[from] NetworkError),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// Something else did not answer.
    #[error(transparent)]
    Unavailable(Unavailable),

    /// The operating system gave no random bytes.
    #[error("no random bytes")]
    Random(#[from] subrosa_group::RandomError),

    // A defect, here or of the stored state.
    /// What was queued cannot be built; see the reason.
    #[error("what is queued cannot be built")]
    CannotBuild(#[source] subrosa_sync::CannotBuild),
    /// The machine of the group cannot go on.
    #[error("the group's machine cannot go on")]
    Machine(#[from] MachineError),
    /// The group's stored state cannot be used.
    #[error("the stored state of the group is not usable")]
    State(#[from] subrosa_group::RowError),
    /// A key package could not be made.
    #[error("a key package could not be made")]
    KeyPackage(#[from] subrosa_group::NewKeyPackageError),
    /// The stored key package is damaged.
    #[error("the stored key package is damaged")]
    StoredKeyPackage(#[from] subrosa_group::KeyPackageError),
}

impl SyncError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Held { cause } | Self::Unavailable(cause) => cause.is_retryable(),
            Self::Network(error) => !error.is_refusal(),
            Self::Store(error) => error.is_retryable(),
            Self::Random(_) => true,
            Self::UnknownConversation
            | Self::Inactive
            | Self::CannotBuild(_)
            | Self::Machine(_)
            | Self::State(_)
            | Self::KeyPackage(_)
            | Self::StoredKeyPackage(_) => false,
        }
    }
}

impl From<Unavailable> for SyncError {
    fn from(error: Unavailable) -> Self {
        match error {
            Unavailable::Network(error) => Self::Network(error),
            Unavailable::Store(error) => Self::Store(error),
            error => Self::Unavailable(error),
        }
    }
}

/// Why a change of a conversation, or a message, did not take effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    // The caller has to act; nothing was queued.
    /// There is no such conversation here.
    #[error("there is no conversation {0:?}")]
    UnknownConversation(GroupId),
    /// There is no such message here.
    #[error("there is no message {0:?}")]
    UnknownMessage(MessageId),
    /// We are not in the group, or it was restored from an archive.
    #[error("the conversation is not active")]
    Inactive,
    /// The group asks for a newer protocol version.
    #[error("the conversation waits for protocol version {needs}")]
    Paused {
        /// The version it asks for.
        needs: String,
    },
    /// Our role does not allow this change.
    #[error("our role does not allow this")]
    NotPermitted,
    /// A direct message has two members, no name and no admins (client §3.1, §3.3).
    #[error("not possible in a direct message")]
    NotInDm,
    /// A text is too long, in bytes of UTF-8 (client §3.1).
    #[error("{size} bytes where {limit} are the most")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The size in bytes.
        size: usize,
    },
    /// A group has at most 250 inboxes (client §14).
    #[error("{0} members are too many")]
    TooManyMembers(usize),
    /// Identifiers that belong to no inbox, or inboxes without a log.
    #[error("an inbox does not exist")]
    UnknownInbox(Vec<String>),
    /// None of the inboxes to be added has an installation that can be invited (groups §4.2).
    #[error("no installation can be invited")]
    NoUsableKeyPackage,
    /// A super admin, a member of a direct message or the only member cannot leave (client §3.3).
    #[error("this member cannot leave")]
    CannotLeave,

    // Queued, and ended.
    /// The change was queued and ended without effect.
    #[error("the change ended without effect")]
    Failed {
        /// Why.
        reason: Option<IntentError>,
        /// The last error on the way, if there was one.
        #[source]
        cause: Option<Box<SyncError>>,
    },

    // Queued, and still under way.
    /// The change is queued and was not yet seen in the group's log; it may still happen.
    #[error("not confirmed yet")]
    NotConfirmed {
        /// The last error on the way, if there was one.
        #[source]
        cause: Option<Box<SyncError>>,
    },

    // The environment has to change.
    /// Syncing failed before anything was queued.
    #[error(transparent)]
    Sync(SyncError),
    /// The group could not be made: a failure of this software.
    #[error("the group could not be made")]
    Create(#[from] subrosa_group::group::CreateError),
    /// The operating system gave no random bytes.
    #[error("no random bytes")]
    Random(#[from] subrosa_group::RandomError),
}

impl ChangeError {
    /// The end of an intent in error.
    pub(crate) fn failed(reason: Option<IntentError>, cause: Option<SyncError>) -> Self {
        Self::Failed { reason, cause: cause.map(Box::new) }
    }

    /// Whether the same call may succeed later. After [`ChangeError::NotConfirmed`] do not repeat the change, sync:
    /// it is still queued.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotConfirmed { .. } | Self::Paused { .. } | Self::Random(_) => true,
            Self::Sync(error) => error.is_retryable(),
            _ => false,
        }
    }
}

impl From<SyncError> for ChangeError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Inactive => Self::Inactive,
            error => Self::Sync(error),
        }
    }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownConversation { group } => Self::UnknownConversation(group),
            error => Self::Sync(error.into()),
        }
    }
}

impl From<NetworkError> for ChangeError {
    fn from(error: NetworkError) -> Self {
        Self::Sync(error.into())
    }
}

impl From<Unavailable> for ChangeError {
    fn from(error: Unavailable) -> Self {
        Self::Sync(error.into())
    }
}
