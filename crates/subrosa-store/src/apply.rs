//! One transaction: changes in order, each with its guard.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SqliteConnection, insert_into,
    update,
};
use subrosa_sync::{Change, IntentId};
use subrosa_types::{GroupId, InboxId, InstallationId, MessageId, UnixNanos};

use crate::{
    StoreError,
    schema::{conversations, senders},
};

/// What a transaction made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// Ids of the new intents, in the order of their changes.
    pub intents: Vec<IntentId>,
    /// Messages that were not stored before, in the order of their changes.
    pub messages: Vec<MessageId>,
    /// The versions that groups have from now on: those that were guarded, and those that are new.
    pub versions: BTreeMap<GroupId, u64>,
}

/// Applies `changes` inside the open transaction of `connection`.
pub(crate) fn apply(connection: &mut SqliteConnection, changes: &[Change]) -> Result<Applied, StoreError> {
    let mut transaction = Transaction {
        connection,
        applied: Applied::default(),
        conversations: HashMap::new(),
        senders: HashMap::new(),
        newest: HashMap::new(),
    };
    for change in changes {
        transaction.change(change)?;
    }
    transaction.raise_last_messages()?;
    Ok(transaction.applied)
}

/// An open writing transaction, with the row ids it has looked up.
pub(crate) struct Transaction<'c> {
    pub(crate) connection: &'c mut SqliteConnection,
    pub(crate) applied: Applied,
    pub(crate) conversations: HashMap<GroupId, i64>,
    senders: HashMap<(InboxId, InstallationId), i64>,
    /// Newest message of each conversation, by row id: written once, because the row may be wide.
    newest: HashMap<i64, UnixNanos>,
}

impl Transaction<'_> {
    fn change(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Guard { group, version } => self.guard(group, *version),
            Change::Rows(rows) => self.rows(rows),
            Change::Conversation(conversation) => self.put_conversation(conversation),
            Change::Times { group, rotated_at, installations_checked } => {
                self.set_times(group, *rotated_at, *installations_checked)
            }
            Change::Cursor { entity, to } => self.move_cursor(entity, *to),
            Change::ResetCursor { entity, to } => self.reset_cursor(entity, *to),
            Change::Message(message) => self.put_message(message),
            Change::Delivered { id, at, position, expires_at } => {
                self.message_delivered(id, *at, *position, *expires_at)
            }
            Change::Failed(id) => self.message_failed(id),
            Change::NewIntent(intent) => self.queue_intent(intent),
            Change::Intent { id, from, to, attempts, error, payload, resolved_at } => {
                let standing = crate::intents::Move { id: *id, from: *from, to: *to, attempts: *attempts };
                self.move_intent(standing, *error, payload, *resolved_at)
            }
            Change::CommitLog(row) => self.log_commit(row),
            Change::Consent(consent) => self.put_consent(consent),
            Change::PendingRemove { group, inbox, message } => self.ask_removal(group, inbox, message),
            Change::RemovalDone { group, inboxes } => self.removals_done(group, inboxes),
            Change::Task(task) => self.put_task(task),
            Change::TaskDone(sequence) => self.task_done(*sequence),
            Change::KeyPackageStored { hash_ref, created_at } => self.put_key_package(hash_ref, *created_at),
            Change::RotateKeyPackageBy(at) => self.rotate_key_package_by(*at),
        }
    }

    /// The row id of a conversation.
    pub(crate) fn conversation(&mut self, group: &GroupId) -> Result<i64, StoreError> {
        if let Some(id) = self.conversations.get(group) {
            return Ok(*id);
        }
        let id = conversations::table
            .filter(conversations::group_id.eq(group.as_bytes()))
            .select(conversations::id)
            .first::<i64>(self.connection)
            .optional()?
            .ok_or_else(|| StoreError::UnknownConversation { group: group.clone() })?;
        self.conversations.insert(group.clone(), id);
        Ok(id)
    }

    /// The row id of a sender, new or not.
    pub(crate) fn sender(&mut self, inbox: InboxId, installation: InstallationId) -> Result<i64, StoreError> {
        if let Some(id) = self.senders.get(&(inbox, installation)) {
            return Ok(*id);
        }
        let stored = senders::table
            .filter(senders::inbox.eq(&inbox.as_bytes()[..]))
            .filter(senders::installation.eq(&installation.as_bytes()[..]))
            .select(senders::id)
            .first::<i64>(self.connection)
            .optional()?;
        let id = match stored {
            Some(id) => id,
            None => insert_into(senders::table)
                .values((
                    senders::inbox.eq(&inbox.as_bytes()[..]),
                    senders::installation.eq(&installation.as_bytes()[..]),
                ))
                .returning(senders::id)
                .get_result(self.connection)?,
        };
        self.senders.insert((inbox, installation), id);
        Ok(id)
    }

    /// Remembers that a conversation has a message of this time.
    pub(crate) fn saw_message(&mut self, conversation: i64, at: UnixNanos) {
        match self.newest.entry(conversation) {
            Entry::Occupied(mut newest) if *newest.get() < at => _ = newest.insert(at),
            Entry::Occupied(_) => {}
            Entry::Vacant(first) => _ = first.insert(at),
        }
    }

    fn raise_last_messages(&mut self) -> Result<(), StoreError> {
        for (conversation, at) in std::mem::take(&mut self.newest) {
            let older = conversations::last_message.is_null().or(conversations::last_message.lt(at.as_nanos()));
            update(conversations::table.find(conversation).filter(older))
                .set(conversations::last_message.eq(at.as_nanos()))
                .execute(self.connection)?;
        }
        Ok(())
    }
}
