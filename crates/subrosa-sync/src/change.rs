//! What a step asks the shell to do.

use subrosa_group::RowChanges;
use subrosa_intent::{IntentError, IntentState};
use subrosa_types::{Cursor, GroupId, InboxId, MessageId, SequenceId, UnixNanos};

use crate::model::{CommitLogRow, Consent, Conversation, Entity, IntentId, Message, NewIntent, Payload, Task};

/// One write. All changes of a step are applied in one transaction, in order, or not at all.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the store must handle every change")]
pub enum Change {
    /// Guard: the stored version of this group is `version`; it becomes one more. Comes before every other change
    /// of the group's state.
    Guard {
        /// The group.
        group: GroupId,
        /// The version that was read.
        version: u64,
    },
    /// MLS rows, those of a group or the installation's own.
    Rows(RowChanges),
    /// Inserts the conversation, or replaces the record of the same group. The version is set by the store. Of an
    /// existing record, `rotated_at`, `installations_checked` and `last_message` stay: they have changes of their
    /// own, made without loading the group.
    Conversation(Box<Conversation>),
    /// Sets times of a conversation; `None` leaves a time as it is.
    Times {
        /// The group.
        group: GroupId,
        /// When our own leaf was last renewed.
        rotated_at: Option<UnixNanos>,
        /// When installations were last compared with the tree.
        installations_checked: Option<UnixNanos>,
    },
    /// Guard: the cursor stands before `to`; it moves there.
    Cursor {
        /// Whose.
        entity: Entity,
        /// Where to.
        to: Cursor,
    },
    /// Sets a cursor of a conversation just joined, wherever it stood.
    ResetCursor {
        /// Whose.
        entity: Entity,
        /// Where to.
        to: Cursor,
    },
    /// Inserts a message; one with the same id stays as it is. Raises the conversation's time of the last message.
    Message(Box<Message>),
    /// Our own message was read back.
    Delivered {
        /// The message.
        id: MessageId,
        /// The network's time.
        at: UnixNanos,
        /// Its position.
        position: Cursor,
        /// When it disappears.
        expires_at: Option<UnixNanos>,
    },
    /// The intent of this message ended in error.
    Failed(MessageId),
    /// Queues an intent.
    NewIntent(NewIntent),
    /// Guard: the intent is in `from`; moves it.
    Intent {
        /// Which.
        id: IntentId,
        /// The state it must be in.
        from: IntentState,
        /// The state it gets.
        to: IntentState,
        /// Definite failures from now on.
        attempts: u32,
        /// The reason of an error.
        error: Option<IntentError>,
        /// What happens to the payload.
        payload: PayloadChange,
        /// The envelope that resolved it.
        resolved_at: Option<Cursor>,
    },
    /// Appends to the local commit log.
    CommitLog(CommitLogRow),
    /// Records consent; an older or equally old record is replaced.
    Consent(Consent),
    /// A member asked to leave.
    PendingRemove {
        /// The group.
        group: GroupId,
        /// Who.
        inbox: InboxId,
        /// The message that asked.
        message: MessageId,
    },
    /// These members are gone; their requests are done.
    RemovalDone {
        /// The group.
        group: GroupId,
        /// Who.
        inboxes: Vec<InboxId>,
    },
    /// Keeps a welcome for later, or updates its attempts.
    Task(Task),
    /// The welcome is finished or given up.
    TaskDone(SequenceId),
    /// A key package's private parts are no longer needed after this time (groups §1.6).
    KeyPackageStored {
        /// Its hash reference.
        hash_ref: Vec<u8>,
        /// When it was made.
        created_at: UnixNanos,
    },
    /// Own key package: next rotation no later than this.
    RotateKeyPackageBy(UnixNanos),
}

/// What happens to an intent's payload.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a payload is kept, set or dropped")]
pub enum PayloadChange {
    /// Stays as it is.
    Keep,
    /// Is stored before it is sent.
    Set(Box<Payload>),
    /// Is dropped; its hash is remembered among the earlier ones.
    Drop,
    /// Blobs of a finished intent are dropped; the hash stays.
    Finish,
}

/// How durable a transaction must be before the next line of the shell runs (design: durable before it leaves).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a write survives a power cut or only a crash")]
pub enum Durability {
    /// Survives a killed process; a power cut may roll it back, together with its cursor.
    #[default]
    Process,
    /// Survives a power cut: bytes will leave the machine after it.
    Power,
}

/// What the application gets to see.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message was stored or delivered.
    Message(Box<Message>),
    /// A message of ours was read back from the network.
    Delivered {
        /// Its group.
        group: GroupId,
        /// The message.
        message: MessageId,
    },
    /// A conversation is new here.
    Conversation(GroupId),
    /// Name, members, admins or our standing changed.
    Changed(GroupId),
}

/// Everything one step asks the shell to do, in this order.
#[must_use]
#[derive(Debug, Default)]
pub struct Step {
    /// Writes, in one transaction, before anything else happens.
    pub changes: Vec<Change>,
    /// How durable that transaction must be.
    pub durability: Durability,
    /// What the application gets to see after that.
    pub events: Vec<Event>,
}
