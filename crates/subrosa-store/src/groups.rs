//! What a conversation machine loads, and the small tables beside a conversation: consent, requests to leave, the
//! local commit log.

use diesel::{
    Connection, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    SqliteConnection, delete, insert_into, query_dsl::methods, upsert::excluded,
};
use subrosa_group::RowKey;
use subrosa_sync::{CommitLogRow, Consent, ConsentState, Conversation, Intent};
use subrosa_types::{Cursor, GroupId, InboxId, MessageId};

use crate::{
    Store, StoreError,
    apply::Transaction,
    conversations as records, cursors, intents, mls,
    schema::{commit_log, consents, conversations, pending_removals, senders},
    value,
};

/// A member's request to leave that no commit has carried out yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a record")]
pub struct PendingRemoval {
    /// Who asked.
    pub inbox: InboxId,
    /// The message that asked.
    pub message: MessageId,
}

/// A row of the local commit log with its number, which only grows.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a record")]
pub struct LoggedCommit {
    /// The row's number.
    pub row: i64,
    /// What it says.
    pub entry: CommitLogRow,
}

/// Everything a conversation machine needs of one group, as of one moment.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the machine takes it apart")]
pub struct LoadedGroup {
    /// The record.
    pub conversation: Conversation,
    /// All rows of its MLS state.
    pub rows: Vec<(RowKey, Vec<u8>)>,
    /// How far its log was processed: messages and commits, one for each originator.
    pub positions: Vec<Cursor>,
    /// Intents that are not terminal, in the order they were queued.
    pub intents: Vec<Intent>,
    /// Requests to leave.
    pub pending_removals: Vec<PendingRemoval>,
}

impl Store {
    /// Loads a group in one read transaction; `None` if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load_group(&self, group: &GroupId) -> Result<Option<LoadedGroup>, StoreError> {
        self.read(|connection| {
            connection.transaction(|connection| {
                let Some(conversation) = records::load(connection, group)? else { return Ok(None) };
                Ok(Some(LoadedGroup {
                    conversation,
                    rows: mls::load(connection, group.as_bytes())?,
                    positions: cursors::of_group(connection, group)?,
                    intents: intents::outstanding(connection, group)?,
                    pending_removals: removals(connection, group)?,
                }))
            })
        })
    }

    /// The user's decision about a conversation; `None` means [`ConsentState::Unknown`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn consent(&self, group: &GroupId) -> Result<Option<Consent>, StoreError> {
        self.read(|connection| {
            let stored = consents::table
                .find(group.as_bytes())
                .select((consents::state, consents::decided_at))
                .first::<(i32, i64)>(connection)
                .optional()?;
            stored
                .map(|(state, at)| {
                    let state = ConsentState::from_number(state).ok_or(value::corrupt("consents.state"))?;
                    Ok(Consent { group: group.clone(), state, at: value::to_time(at) })
                })
                .transpose()
        })
    }

    /// Requests to leave a group.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pending_removals(&self, group: &GroupId) -> Result<Vec<PendingRemoval>, StoreError> {
        self.read(|connection| removals(connection, group))
    }

    /// Groups with requests to leave.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn groups_with_pending_removals(&self) -> Result<Vec<GroupId>, StoreError> {
        self.read(|connection| {
            let rows = pending_removals::table
                .inner_join(conversations::table)
                .order(conversations::id)
                .select(conversations::group_id)
                .distinct()
                .load::<Vec<u8>>(connection)?;
            rows.iter().map(|group| value::to_group(group, "conversations.group_id")).collect()
        })
    }

    /// The commits of a group as they ended here, in the order they were logged (groups §5.4).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commit_log(&self, group: &GroupId) -> Result<Vec<LoggedCommit>, StoreError> {
        self.read(|connection| {
            let rows = commit_log::table.inner_join(conversations::table).left_join(senders::table);
            rows.filter(conversations::group_id.eq(group.as_bytes()))
                .order(commit_log::row)
                .select((
                    commit_log::row,
                    commit_log::sequence,
                    commit_log::authenticator_before,
                    commit_log::result,
                    commit_log::epoch,
                    commit_log::authenticator,
                    commit_log::note,
                    (senders::inbox, senders::installation).nullable(),
                ))
                .load::<CommitLogColumns>(connection)?
                .into_iter()
                .map(|row| to_logged(group, row))
                .collect()
        })
    }
}

fn removals(connection: &mut SqliteConnection, group: &GroupId) -> Result<Vec<PendingRemoval>, StoreError> {
    let query = pending_removals::table.inner_join(conversations::table);
    query
        .filter(conversations::group_id.eq(group.as_bytes()))
        .select((pending_removals::inbox, pending_removals::message))
        .load::<(Vec<u8>, Vec<u8>)>(connection)?
        .iter()
        .map(|(inbox, message)| {
            Ok(PendingRemoval {
                inbox: value::to_inbox(inbox, "pending_removals.inbox")?,
                message: value::to_message_id(message, "pending_removals.message")?,
            })
        })
        .collect()
}

type CommitLogColumns = (i64, i64, Vec<u8>, i32, i64, Vec<u8>, String, Option<(Vec<u8>, Vec<u8>)>);

fn to_logged(group: &GroupId, row: CommitLogColumns) -> Result<LoggedCommit, StoreError> {
    let (row, commit, authenticator_before, result, epoch, authenticator, note, sender_of) = row;
    let sender = |(inbox, installation): (Vec<u8>, Vec<u8>)| {
        Ok::<_, StoreError>((
            value::to_inbox(&inbox, "senders.inbox")?,
            value::to_installation(&installation, "senders.installation")?,
        ))
    };
    let entry = CommitLogRow {
        group: group.clone(),
        commit: value::to_sequence(commit, "commit_log.sequence")?,
        authenticator_before,
        result,
        epoch: value::to_epoch(epoch),
        authenticator,
        sender: sender_of.map(sender).transpose()?,
        note,
    };
    Ok(LoggedCommit { row, entry })
}

impl Transaction<'_> {
    pub(crate) fn put_consent(&mut self, consent: &Consent) -> Result<(), StoreError> {
        let put = insert_into(consents::table)
            .values((
                consents::group_id.eq(consent.group.as_bytes()),
                consents::state.eq(consent.state.number()),
                consents::decided_at.eq(consent.at.as_nanos()),
            ))
            .on_conflict(consents::group_id)
            .do_update()
            .set((
                consents::state.eq(excluded(consents::state)),
                consents::decided_at.eq(excluded(consents::decided_at)),
            ));
        methods::FilterDsl::filter(put, consents::decided_at.le(excluded(consents::decided_at)))
            .execute(self.connection)?;
        Ok(())
    }

    pub(crate) fn ask_removal(
        &mut self,
        group: &GroupId,
        inbox: &InboxId,
        message: &MessageId,
    ) -> Result<(), StoreError> {
        let conversation = self.conversation(group)?;
        insert_into(pending_removals::table)
            .values((
                pending_removals::conversation.eq(conversation),
                pending_removals::inbox.eq(&inbox.as_bytes()[..]),
                pending_removals::message.eq(&message.as_bytes()[..]),
            ))
            .on_conflict((pending_removals::conversation, pending_removals::inbox))
            .do_update()
            .set(pending_removals::message.eq(excluded(pending_removals::message)))
            .execute(self.connection)?;
        Ok(())
    }

    pub(crate) fn removals_done(&mut self, group: &GroupId, inboxes: &[InboxId]) -> Result<(), StoreError> {
        let conversation = self.conversation(group)?;
        for inbox in inboxes {
            delete(pending_removals::table.find((conversation, &inbox.as_bytes()[..]))).execute(self.connection)?;
        }
        Ok(())
    }

    pub(crate) fn log_commit(&mut self, row: &CommitLogRow) -> Result<(), StoreError> {
        let conversation = self.conversation(&row.group)?;
        let sender = match row.sender {
            Some((inbox, installation)) => Some(self.sender(inbox, installation)?),
            None => None,
        };
        insert_into(commit_log::table)
            .values((
                commit_log::conversation.eq(conversation),
                commit_log::sequence.eq(value::sequence(row.commit)?),
                commit_log::authenticator_before.eq(&row.authenticator_before),
                commit_log::result.eq(row.result),
                commit_log::epoch.eq(value::epoch(row.epoch)),
                commit_log::authenticator.eq(&row.authenticator),
                commit_log::sender.eq(sender),
                commit_log::note.eq(&row.note),
            ))
            .execute(self.connection)?;
        Ok(())
    }
}
