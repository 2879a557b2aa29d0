//! The records a client keeps, as values. The store turns them into rows; nothing here knows SQL.

use std::collections::BTreeMap;

use subrosa_cursor::EntityKind;
use subrosa_group::context::ConversationKind;
use subrosa_intent::{IntentError, IntentKind, IntentState};
use subrosa_types::{Cursor, Epoch, GroupId, InboxId, InstallationId, MessageId, SequenceId, UnixNanos};

/// Our standing in a conversation (sync §5.3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the states are the protocol's")]
pub enum MembershipState {
    /// We made it, or accepted it.
    Allowed,
    /// We turned it down.
    Rejected,
    /// We were added.
    Pending,
    /// Restored from an archive: readable, not active.
    Restored,
    /// We asked to leave and are still in.
    PendingRemove,
}

impl MembershipState {
    /// The stored number, 1 to 5.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Allowed => 1,
            Self::Rejected => 2,
            Self::Pending => 3,
            Self::Restored => 4,
            Self::PendingRemove => 5,
        }
    }

    /// The state with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Allowed, Self::Rejected, Self::Pending, Self::Restored, Self::PendingRemove]
            .into_iter()
            .find(|state| state.number() == number)
    }
}

/// Why a group makes no progress, as the application reads it. Other groups are not affected.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Held {
    /// A commit can be judged only with identity updates that did not answer.
    Identity,
    /// The MLS library cannot follow a commit whose added key package has expired (groups §9.1).
    ExpiredAdd,
}

impl Held {
    /// The stored number, 1 or 2.
    #[must_use]
    pub const fn number(&self) -> i32 {
        match self {
            Self::Identity => 1,
            Self::ExpiredAdd => 2,
        }
    }

    /// The reason with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Identity, Self::ExpiredAdd].into_iter().find(|reason| reason.number() == number)
    }
}

/// Everything about a conversation that is readable without loading its MLS state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conversation {
    /// The group.
    pub id: GroupId,
    /// Incremented by every write of the group's state; a write names the version it read.
    pub version: u64,
    /// What it is.
    pub kind: ConversationKind,
    /// For a DM: the other inbox.
    pub dm_peer: Option<InboxId>,
    /// Creation here, or the time of joining.
    pub created_at: UnixNanos,
    /// Our standing.
    pub membership: MembershipState,
    /// False after our removal.
    pub active: bool,
    /// Who created it.
    pub creator: InboxId,
    /// Who added us; ourselves if we made it.
    pub added_by: InboxId,
    /// Sequence id of the newest welcome that brought us here.
    pub welcome: Option<SequenceId>,
    /// When installations of members were last compared with the tree.
    pub installations_checked: UnixNanos,
    /// When our own leaf was last renewed; 0 after joining (sync §2.4).
    pub rotated_at: UnixNanos,
    /// Time of the newest message.
    pub last_message: Option<UnixNanos>,
    /// The protocol version that the group asks for, while it is above ours.
    pub paused_for: Option<String>,
    /// A message from a later epoch was seen: a hint, not a verdict.
    pub maybe_forked: bool,
    /// Why nothing moves, if nothing does.
    pub held: Option<Held>,
    /// MLS epoch.
    pub epoch: Epoch,
    /// Epoch authenticator, equal for all members of the epoch.
    pub authenticator: Vec<u8>,
    /// Members and the identity-log position the group knows of each.
    pub members: BTreeMap<InboxId, SequenceId>,
    /// Metadata attributes (groups §2.3).
    pub attributes: BTreeMap<String, String>,
    /// Admins, as inbox id texts.
    pub admins: Vec<String>,
    /// Super admins, as inbox id texts.
    pub super_admins: Vec<String>,
    /// The permission policies, in the bytes of the group context extension (groups §2.5).
    pub permissions: Vec<u8>,
}

/// Whether a message reached the network.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a message is waiting, there, or failed")]
pub enum Delivery {
    /// Waiting; its intent is outstanding.
    Unpublished,
    /// In the group's log.
    Published,
    /// Its intent ended in error.
    Failed,
}

impl Delivery {
    /// The stored number, 1 to 3.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Unpublished => 1,
            Self::Published => 2,
            Self::Failed => 3,
        }
    }

    /// The state with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Unpublished, Self::Published, Self::Failed].into_iter().find(|state| state.number() == number)
    }
}

/// What wrote a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a message was sent or derived from a commit")]
pub enum MessageKind {
    /// A member sent it.
    Application,
    /// This client wrote it when it applied a commit or a welcome.
    Transcript,
}

impl MessageKind {
    /// The stored number, 1 or 2.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Application => 1,
            Self::Transcript => 2,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Application, Self::Transcript].into_iter().find(|kind| kind.number() == number)
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Its id, equal for all members.
    pub id: MessageId,
    /// Its group.
    pub group: GroupId,
    /// The network's time; the local time while unpublished.
    pub sent_at: UnixNanos,
    /// What wrote it.
    pub kind: MessageKind,
    /// The author's inbox.
    pub sender: InboxId,
    /// The author's installation.
    pub installation: InstallationId,
    /// Whether it reached the network.
    pub delivery: Delivery,
    /// A serialised `EncodedContent`, exactly as it was sent.
    pub content: Vec<u8>,
    /// Where it stands in the group's log.
    pub position: Option<Cursor>,
    /// When it is deleted here, if it disappears.
    pub expires_at: Option<UnixNanos>,
    /// When this client stored it.
    pub inserted_at: UnixNanos,
}

/// Names one intent row; lower ids came first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IntentId(pub i64);

/// An intent that is not yet stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewIntent {
    /// Its group.
    pub group: GroupId,
    /// What it asks for.
    pub kind: IntentKind,
    /// What is wanted, enough to build a payload in any later epoch ([`crate::IntentData`], encoded).
    pub data: Vec<u8>,
    /// Push hint for the network.
    pub should_push: bool,
    /// The message it sends, for [`IntentKind::SendMessage`].
    pub message: Option<MessageId>,
}

/// The payload of an intent: bytes that were or will be sent, and what is needed when they come back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payload {
    /// The MLS message.
    pub bytes: Vec<u8>,
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// The epoch it was made in.
    pub epoch: Epoch,
    /// The authenticator of that epoch.
    pub authenticator: Vec<u8>,
    /// The staged commit, for a commit.
    pub staged: Option<Vec<u8>>,
    /// Work after the commit ([`crate::PostCommit`], encoded).
    pub post_commit: Option<Vec<u8>>,
}

/// An intent as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intent {
    /// Its row.
    pub id: IntentId,
    /// What it asks for.
    pub new: NewIntent,
    /// Where it stands.
    pub state: IntentState,
    /// Definite failures so far.
    pub attempts: u32,
    /// Why it ended in error.
    pub error: Option<IntentError>,
    /// The payload, from `Published` until the intent is terminal or goes back.
    pub payload: Option<Payload>,
    /// Hashes of earlier payloads, so that late copies are recognised.
    pub earlier: Vec<[u8; 32]>,
    /// Position of the envelope that resolved it.
    pub resolved_at: Option<Cursor>,
}

/// How a commit of the group's log ended here (groups §5.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommitLogRow {
    /// The group.
    pub group: GroupId,
    /// The commit's position; 0 for creation and welcome.
    pub commit: SequenceId,
    /// The authenticator before; empty for creation and welcome.
    pub authenticator_before: Vec<u8>,
    /// 1 applied, 2 wrong epoch, 3 undecryptable, 4 invalid.
    pub result: i32,
    /// The epoch after.
    pub epoch: Epoch,
    /// The authenticator after.
    pub authenticator: Vec<u8>,
    /// The committer, when applied.
    pub sender: Option<(InboxId, InstallationId)>,
    /// What kind of change, or what was wrong.
    pub note: String,
}

/// Consent of the user to a conversation or an inbox (client §8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the states are the protocol's")]
pub enum ConsentState {
    /// Not decided; also the meaning of no record.
    Unknown,
    /// Wanted.
    Allowed,
    /// Not wanted.
    Denied,
}

impl ConsentState {
    /// The stored number, 0 to 2.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Unknown => 0,
            Self::Allowed => 1,
            Self::Denied => 2,
        }
    }

    /// The state with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Unknown, Self::Allowed, Self::Denied].into_iter().find(|state| state.number() == number)
    }
}

/// A consent record of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consent {
    /// The conversation.
    pub group: GroupId,
    /// The decision.
    pub state: ConsentState,
    /// When; a newer record replaces an older one.
    pub at: UnixNanos,
}

/// Whose cursor, and of what.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Entity {
    /// Group id or installation id, raw.
    pub id: Vec<u8>,
    /// Which cursor of it.
    pub kind: EntityKind,
}

/// Work that outlives the process: a welcome that could not be finished yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Task {
    /// The welcome, as the node delivered it (serialised `WelcomeMessage`).
    pub welcome: Vec<u8>,
    /// Its position.
    pub sequence: SequenceId,
    /// Tries so far.
    pub attempts: u32,
    /// When to try next.
    pub next_at: UnixNanos,
    /// When to give up.
    pub expires_at: UnixNanos,
}
