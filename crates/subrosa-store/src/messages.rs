//! Messages of conversations (sync §5.3, §5.4).

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable,
    SelectableHelper, SqliteConnection, delete, insert_into, query_builder::QueryFragment,
    query_dsl::methods::LoadQuery, sqlite::Sqlite, update,
};
use subrosa_sync::{Delivery, Durability, Message, MessageKind};
use subrosa_types::{Cursor, GroupId, MessageId, UnixNanos};

use crate::{
    Store, StoreError,
    apply::Transaction,
    schema::{conversations, messages, senders},
    value,
};

/// How messages are sorted: by the network's time, then in the order they were stored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "time has two directions")]
pub enum MessageOrder {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// Which messages [`Store::messages`] returns.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a query is built by its caller")]
pub struct MessageQuery {
    /// Of which groups; for a DM all that are shown as one ([`Store::siblings`]). Unknown groups have no messages.
    pub groups: Vec<GroupId>,
    /// Sent later than this.
    pub after: Option<UnixNanos>,
    /// Sent earlier than this.
    pub before: Option<UnixNanos>,
    /// At most so many.
    pub limit: Option<u32>,
    /// In which order; with a limit this says which end.
    pub order: MessageOrder,
    /// Only of this kind.
    pub kind: Option<MessageKind>,
    /// Only with this delivery.
    pub delivery: Option<Delivery>,
    /// The present time: messages that have disappeared by now are left out. `None` leaves out none.
    pub now: Option<UnixNanos>,
}

impl MessageQuery {
    /// All messages of these groups, oldest first.
    #[must_use]
    pub fn of(groups: impl IntoIterator<Item = GroupId>) -> Self {
        Self { groups: groups.into_iter().collect(), ..Self::default() }
    }
}

impl Store {
    /// The messages that a query asks for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn messages(&self, query: &MessageQuery) -> Result<Vec<Message>, StoreError> {
        let mut rows = self.read(|connection| {
            let mut rows = Vec::new();
            // One query for each group: the index gives its messages in order, so that a limit costs what it says.
            for (id, group) in rows_of(connection, &query.groups)? {
                let found: Vec<MessageWithSender> = page(id, query).load(connection)?;
                rows.extend(found.into_iter().map(|row| (group.clone(), row)));
            }
            Ok(rows)
        })?;
        rows.sort_by_key(|(_, (message, _, _))| (message.sent_at, message.row));
        if query.order == MessageOrder::Descending {
            rows.reverse();
        }
        if let Some(limit) = query.limit {
            rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        rows.into_iter().map(|(group, row)| to_message(group, row)).collect()
    }

    /// How many messages a query asks for; order and limit do not matter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn count_messages(&self, query: &MessageQuery) -> Result<u64, StoreError> {
        self.read(|connection| {
            let mut sum = 0u64;
            for (id, _) in rows_of(connection, &query.groups)? {
                let count: i64 = filtered(id, query).count().get_result(connection)?;
                sum = sum.saturating_add(value::to_u64(count, "messages")?);
            }
            Ok(sum)
        })
    }

    /// A message by its id, also one whose time has come to disappear.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn message(&self, id: &MessageId) -> Result<Option<Message>, StoreError> {
        self.read(|connection| {
            let query = messages::table.inner_join(senders::table).inner_join(conversations::table);
            let found = query
                .filter(messages::id.eq(&id.as_bytes()[..]))
                .select((MessageRow::as_select(), senders::inbox, senders::installation, conversations::group_id))
                .first::<(MessageRow, Vec<u8>, Vec<u8>, Vec<u8>)>(connection)
                .optional()?;
            found
                .map(|(row, inbox, installation, group)| {
                    to_message(value::to_group(&group, "conversations.group_id")?, (row, inbox, installation))
                })
                .transpose()
        })
    }

    /// The message at a position of a group's log, if it was stored; the first of them if a commit or welcome left
    /// several.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn message_at(&self, group: &GroupId, at: Cursor) -> Result<Option<Message>, StoreError> {
        let sequence = value::sequence(at.sequence)?;
        self.read(|connection| {
            let query = messages::table.inner_join(senders::table).inner_join(conversations::table);
            query
                .filter(conversations::group_id.eq(group.as_bytes()))
                .filter(messages::originator.eq(i64::from(at.originator.0)))
                .filter(messages::sequence.eq(sequence))
                .order(messages::row)
                .select((MessageRow::as_select(), senders::inbox, senders::installation))
                .first::<MessageWithSender>(connection)
                .optional()?
                .map(|row| to_message(group.clone(), row))
                .transpose()
        })
    }

    /// Deletes a message here; false if there is none. It does not come back: its cursor has passed (sync §5.4).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete_message(&self, id: &MessageId) -> Result<bool, StoreError> {
        self.write(Durability::Process, |connection| {
            Ok(delete(messages::table.filter(messages::id.eq(&id.as_bytes()[..]))).execute(connection)? > 0)
        })
    }

    /// Deletes delivered messages of members whose time has come, and says which (sync §6.3).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete_expired(&self, now: UnixNanos) -> Result<Vec<(GroupId, MessageId)>, StoreError> {
        self.write(Durability::Process, |connection| {
            let due = messages::table
                .inner_join(conversations::table)
                .filter(messages::expires_at.le(now.as_nanos()))
                .filter(messages::delivery.eq(Delivery::Published.number()))
                .filter(messages::kind.eq(MessageKind::Application.number()))
                .order(messages::row)
                .select((messages::row, messages::id, conversations::group_id))
                .load::<(i64, Vec<u8>, Vec<u8>)>(connection)?;
            let mut gone = Vec::with_capacity(due.len());
            for (row, id, group) in due {
                delete(messages::table.find(row)).execute(connection)?;
                let group = value::to_group(&group, "conversations.group_id")?;
                gone.push((group, value::to_message_id(&id, "messages.id")?));
            }
            Ok(gone)
        })
    }

    /// When the next message disappears.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_expiry(&self) -> Result<Option<UnixNanos>, StoreError> {
        self.read(|connection| {
            let next = messages::table
                .filter(messages::expires_at.is_not_null())
                .filter(messages::delivery.eq(Delivery::Published.number()))
                .filter(messages::kind.eq(MessageKind::Application.number()))
                .order(messages::expires_at)
                .select(messages::expires_at)
                .first::<Option<i64>>(connection)
                .optional()?;
            Ok(next.flatten().map(value::to_time))
        })
    }
}

/// Row ids of the groups that are stored.
fn rows_of(connection: &mut SqliteConnection, groups: &[GroupId]) -> Result<Vec<(i64, GroupId)>, StoreError> {
    let mut rows = HashMap::new();
    for chunk in groups.chunks(crate::store::CHUNK) {
        let query = conversations::table
            .filter(conversations::group_id.eq_any(chunk.iter().map(GroupId::as_bytes)))
            .select((conversations::id, conversations::group_id));
        for (id, group) in query.load::<(i64, Vec<u8>)>(connection)? {
            rows.insert(id, value::to_group(&group, "conversations.group_id")?);
        }
    }
    Ok(rows.into_iter().collect())
}

type Filtered<'q> = diesel::dsl::IntoBoxed<'q, diesel::dsl::InnerJoin<messages::table, senders::table>, Sqlite>;

/// The messages of one conversation that a query asks for.
fn filtered(conversation: i64, query: &MessageQuery) -> Filtered<'_> {
    let MessageQuery { groups: _, after, before, limit: _, order: _, kind, delivery, now } = query;
    let mut found = messages::table.inner_join(senders::table).into_boxed();
    found = found.filter(messages::conversation.eq(conversation));
    if let Some(after) = after {
        found = found.filter(messages::sent_at.gt(after.as_nanos()));
    }
    if let Some(before) = before {
        found = found.filter(messages::sent_at.lt(before.as_nanos()));
    }
    if let Some(kind) = kind {
        found = found.filter(messages::kind.eq(kind.number()));
    }
    if let Some(delivery) = delivery {
        found = found.filter(messages::delivery.eq(delivery.number()));
    }
    if let Some(now) = now {
        found = found.filter(messages::expires_at.is_null().or(messages::expires_at.gt(now.as_nanos())));
    }
    found
}

/// The first messages of one conversation, in the query's order.
pub(crate) fn page(
    conversation: i64,
    query: &MessageQuery,
) -> impl QueryFragment<Sqlite> + LoadQuery<'_, SqliteConnection, MessageWithSender> {
    let found = filtered(conversation, query).select((MessageRow::as_select(), senders::inbox, senders::installation));
    let found = match query.order {
        MessageOrder::Ascending => found.order((messages::sent_at.asc(), messages::row.asc())),
        MessageOrder::Descending => found.order((messages::sent_at.desc(), messages::row.desc())),
    };
    found.limit(query.limit.map_or(i64::MAX, i64::from))
}

impl Transaction<'_> {
    pub(crate) fn put_message(&mut self, message: &Message) -> Result<(), StoreError> {
        let conversation = self.conversation(&message.group)?;
        let sender = self.sender(message.sender, message.installation)?;
        let new = insert_into(messages::table)
            .values((
                messages::id.eq(&message.id.as_bytes()[..]),
                messages::conversation.eq(conversation),
                messages::sent_at.eq(message.sent_at.as_nanos()),
                messages::kind.eq(message.kind.number()),
                messages::sender.eq(sender),
                messages::delivery.eq(message.delivery.number()),
                messages::originator.eq(message.position.map(|at| i64::from(at.originator.0))),
                messages::sequence.eq(message.position.map(|at| value::sequence(at.sequence)).transpose()?),
                messages::expires_at.eq(message.expires_at.map(UnixNanos::as_nanos)),
                messages::inserted_at.eq(message.inserted_at.as_nanos()),
                messages::content.eq(&message.content),
            ))
            .on_conflict(messages::id)
            .do_nothing()
            .execute(self.connection)?;
        if new > 0 {
            self.applied.messages.push(message.id);
            self.saw_message(conversation, message.sent_at);
        }
        Ok(())
    }

    /// Does nothing for a message that the user has deleted.
    pub(crate) fn message_delivered(
        &mut self,
        id: &MessageId,
        at: UnixNanos,
        position: Cursor,
        expires_at: Option<UnixNanos>,
    ) -> Result<(), StoreError> {
        let conversation = update(messages::table.filter(messages::id.eq(&id.as_bytes()[..])))
            .set((
                messages::delivery.eq(Delivery::Published.number()),
                messages::sent_at.eq(at.as_nanos()),
                messages::originator.eq(i64::from(position.originator.0)),
                messages::sequence.eq(value::sequence(position.sequence)?),
                messages::expires_at.eq(expires_at.map(UnixNanos::as_nanos)),
            ))
            .returning(messages::conversation)
            .get_result::<i64>(self.connection)
            .optional()?;
        if let Some(conversation) = conversation {
            self.saw_message(conversation, at);
        }
        Ok(())
    }

    /// Does nothing for a message that the user has deleted.
    pub(crate) fn message_failed(&mut self, id: &MessageId) -> Result<(), StoreError> {
        update(messages::table.filter(messages::id.eq(&id.as_bytes()[..])))
            .set(messages::delivery.eq(Delivery::Failed.number()))
            .execute(self.connection)?;
        Ok(())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = messages)]
pub(crate) struct MessageRow {
    row: i64,
    id: Vec<u8>,
    sent_at: i64,
    kind: i32,
    delivery: i32,
    originator: Option<i64>,
    sequence: Option<i64>,
    expires_at: Option<i64>,
    inserted_at: i64,
    content: Vec<u8>,
}

pub(crate) type MessageWithSender = (MessageRow, Vec<u8>, Vec<u8>);

fn to_message(group: GroupId, (row, inbox, installation): MessageWithSender) -> Result<Message, StoreError> {
    Ok(Message {
        id: value::to_message_id(&row.id, "messages.id")?,
        group,
        sent_at: value::to_time(row.sent_at),
        kind: MessageKind::from_number(row.kind).ok_or(value::corrupt("messages.kind"))?,
        sender: value::to_inbox(&inbox, "senders.inbox")?,
        installation: value::to_installation(&installation, "senders.installation")?,
        delivery: Delivery::from_number(row.delivery).ok_or(value::corrupt("messages.delivery"))?,
        content: row.content,
        position: value::to_cursor_option(row.originator, row.sequence, "messages.sequence")?,
        expires_at: row.expires_at.map(value::to_time),
        inserted_at: value::to_time(row.inserted_at),
    })
}
