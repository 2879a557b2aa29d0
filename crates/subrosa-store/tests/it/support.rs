//! Sample records and a folder to keep databases in.

use std::{collections::BTreeMap, path::PathBuf};

use subrosa_cursor::EntityKind;
use subrosa_group::{RowChanges, RowKey};
use subrosa_intent::{IntentKind, IntentState};
use subrosa_store::{
    Applied, DatabaseKey, Encryption, Location, PendingRegistration, Store, StoreError, StoredIdentity,
};
use subrosa_sync::{
    Change, Conversation, ConversationKind, Delivery, Durability, Entity, IntentId, MembershipState, Message,
    MessageKind, NewIntent, Payload, PayloadChange,
};
use subrosa_types::{Cursor, Epoch, GroupId, InboxId, InstallationId, MessageId, OriginatorId, SequenceId, UnixNanos};
use tempfile::TempDir;

/// A folder that is deleted with the value.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self) -> Location {
        Location::File(self.path("client.db"))
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(self.file(), encryption()).unwrap()
    }

    /// All bytes of all files in the folder.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut files: Vec<_> = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().flat_map(|path| std::fs::read(path).unwrap()).collect()
    }
}

/// How the databases of these tests are encrypted: as well as the build can.
pub(crate) fn encryption() -> Encryption {
    if cfg!(feature = "encryption") { Encryption::Key(key(7)) } else { Encryption::None }
}

pub(crate) fn key(byte: u8) -> DatabaseKey {
    DatabaseKey::from_bytes([byte; DatabaseKey::LEN])
}

pub(crate) fn memory() -> Store {
    Store::open(Location::Memory, Encryption::None).unwrap()
}

/// An identity whose registration is under way.
pub(crate) fn begin(store: &Store, identity: &StoredIdentity) -> Result<(), StoreError> {
    let pending = PendingRegistration { identity_update: vec![1; 9], key_package: vec![2; 9], stage: 1 };
    store.begin_registration(identity, &pending, &[])
}

pub(crate) fn apply(store: &Store, changes: Vec<Change>) -> Result<Applied, StoreError> {
    store.apply_blocking(&changes, Durability::Process)
}

pub(crate) fn group(byte: u8) -> GroupId {
    GroupId::from_slice(&[byte; GroupId::LEN]).unwrap()
}

pub(crate) fn inbox(byte: u8) -> InboxId {
    InboxId::from_bytes([byte; 32])
}

pub(crate) fn installation(byte: u8) -> InstallationId {
    InstallationId::from_bytes([byte; 32])
}

pub(crate) fn message_id(byte: u8) -> MessageId {
    MessageId::from_bytes([byte; 32])
}

pub(crate) fn at(nanos: i64) -> UnixNanos {
    UnixNanos::from_nanos(nanos)
}

pub(crate) fn commit(sequence: u64) -> Cursor {
    Cursor::new(OriginatorId::COMMITS, SequenceId(sequence))
}

pub(crate) fn item(sequence: u64) -> Cursor {
    Cursor::new(OriginatorId::MESSAGES, SequenceId(sequence))
}

pub(crate) fn messages_of(group: &GroupId) -> Entity {
    Entity { id: group.as_bytes().to_vec(), kind: EntityKind::ApplicationMessage }
}

pub(crate) fn commits_of(group: &GroupId) -> Entity {
    Entity { id: group.as_bytes().to_vec(), kind: EntityKind::CommitMessage }
}

/// A conversation with something in every field.
pub(crate) fn conversation(id: &GroupId) -> Conversation {
    Conversation {
        id: id.clone(),
        version: 1,
        kind: ConversationKind::Group,
        dm_peer: None,
        created_at: at(1_000),
        membership: MembershipState::Pending,
        active: true,
        creator: inbox(1),
        added_by: inbox(2),
        welcome: Some(SequenceId(33)),
        installations_checked: at(4),
        rotated_at: at(5),
        last_message: None,
        paused_for: Some("2.0.0".into()),
        maybe_forked: true,
        held: None,
        epoch: Epoch(u64::MAX),
        authenticator: vec![9; 32],
        members: BTreeMap::from([(inbox(1), SequenceId(7)), (inbox(2), SequenceId(0))]),
        attributes: BTreeMap::from([("group_name".into(), "rosé ✓".into()), ("description".into(), String::new())]),
        admins: vec![inbox(2).to_hex()],
        super_admins: vec![inbox(1).to_hex(), String::new()],
        permissions: vec![1, 2, 3],
    }
}

pub(crate) fn dm(id: &GroupId, peer: InboxId) -> Conversation {
    Conversation { kind: ConversationKind::Dm, dm_peer: Some(peer), ..conversation(id) }
}

pub(crate) fn put(conversation: Conversation) -> Change {
    Change::Conversation(Box::new(conversation))
}

pub(crate) fn message(group: &GroupId, id: u8, sent_at: i64) -> Message {
    Message {
        id: message_id(id),
        group: group.clone(),
        sent_at: at(sent_at),
        kind: MessageKind::Application,
        sender: inbox(2),
        installation: installation(3),
        delivery: Delivery::Published,
        content: vec![id; 5],
        position: Some(item(u64::from(id))),
        expires_at: None,
        inserted_at: at(77),
    }
}

pub(crate) fn write(message: Message) -> Change {
    Change::Message(Box::new(message))
}

pub(crate) fn row_key(scope: &[u8], label: u8, key: &[u8]) -> RowKey {
    RowKey { scope: scope.to_vec(), label, key: key.to_vec() }
}

pub(crate) fn put_row(key: RowKey, value: &[u8]) -> Change {
    Change::Rows(RowChanges { put: vec![(key, value.to_vec())], ..RowChanges::default() })
}

pub(crate) fn new_intent(group: &GroupId, kind: IntentKind) -> NewIntent {
    let message = (kind == IntentKind::SendMessage).then_some(message_id(5));
    NewIntent { group: group.clone(), kind, data: b"wanted".to_vec(), should_push: true, message }
}

pub(crate) fn payload(byte: u8) -> Payload {
    Payload {
        bytes: vec![byte; 3],
        hash: [byte; 32],
        epoch: Epoch(6),
        authenticator: vec![8; 32],
        staged: Some(vec![4; 2]),
        post_commit: None,
    }
}

/// Moves an intent; attempts, error and position stay empty.
pub(crate) fn step(id: IntentId, from: IntentState, to: IntentState, payload: PayloadChange) -> Change {
    Change::Intent { id, from, to, attempts: 0, error: None, payload, resolved_at: None }
}
