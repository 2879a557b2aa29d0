//! Messages in the order they were stored, over all conversations: for readers that missed some.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, dsl::max};
use subrosa_types::MessageId;

use crate::{Store, StoreError, schema::messages, value};

/// A place in the order in which messages were stored.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct MessageMark(i64);

impl Store {
    /// The place of the message stored last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_mark(&self) -> Result<MessageMark, StoreError> {
        self.read(|connection| {
            let newest: Option<i64> = messages::table.select(max(messages::row)).first(connection)?;
            Ok(MessageMark(newest.unwrap_or(0)))
        })
    }

    /// The place of a message; `None` if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn mark_of(&self, id: &MessageId) -> Result<Option<MessageMark>, StoreError> {
        self.read(|connection| {
            let query = messages::table.filter(messages::id.eq(&id.as_bytes()[..])).select(messages::row);
            Ok(query.first(connection).optional()?.map(MessageMark))
        })
    }

    /// At most `limit` messages stored after a place, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn messages_after(&self, mark: MessageMark, limit: u32) -> Result<Vec<(MessageMark, MessageId)>, StoreError> {
        self.read(|connection| {
            let query = messages::table
                .filter(messages::row.gt(mark.0))
                .order(messages::row)
                .limit(i64::from(limit))
                .select((messages::row, messages::id));
            let rows: Vec<(i64, Vec<u8>)> = query.load(connection)?;
            rows.into_iter()
                .map(|(row, id)| Ok((MessageMark(row), value::to_message_id(&id, "messages.id")?)))
                .collect()
        })
    }
}
