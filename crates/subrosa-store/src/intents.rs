//! Intents: what the user asked for, from asking to done (sync §2).

use std::collections::HashMap;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    SqliteConnection, dsl::sql, insert_into, query_builder::QueryFragment, query_dsl::methods::LoadQuery,
    sql_types::Bool, sqlite::Sqlite, update,
};
use subrosa_intent::{IntentError, IntentKind, IntentState};
use subrosa_sync::{Intent, IntentId, NewIntent, Payload, PayloadChange};
use subrosa_types::{Cursor, GroupId};

use crate::{
    Store, StoreError,
    apply::Transaction,
    schema::{conversations, intent_hashes, intents},
    store::CHUNK,
    value,
};

impl Store {
    /// An intent; `None` if there is none, or one of a kind that this release does not know (sync §2.1).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn intent(&self, id: IntentId) -> Result<Option<Intent>, StoreError> {
        self.read(|connection| by_id(connection, id))
    }

    /// Intents of a group in any of these states, in the order they were queued.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn intents(&self, group: &GroupId, states: &[IntentState]) -> Result<Vec<Intent>, StoreError> {
        if states.iter().all(|state| !state.is_terminal()) {
            let mut found = self.read(|connection| outstanding(connection, group))?;
            found.retain(|intent| states.contains(&intent.state));
            return Ok(found);
        }
        self.read(|connection| {
            let rows = intents::table
                .inner_join(conversations::table)
                .filter(conversations::group_id.eq(group.as_bytes()))
                .filter(intents::state.eq_any(states.iter().map(|state| state.number())))
                .order(intents::id)
                .select((IntentRow::as_select(), conversations::group_id))
                .load(connection)?;
            to_intents(connection, rows)
        })
    }

    /// The intent of a group that has, or ever had, a payload with this SHA-256: how own envelopes are recognised.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn intent_by_hash(&self, group: &GroupId, hash: &[u8; 32]) -> Result<Option<Intent>, StoreError> {
        self.read(|connection| {
            let Some(id) = holder(connection, hash)? else { return Ok(None) };
            Ok(by_id(connection, IntentId(id))?.filter(|intent| intent.new.group == *group))
        })
    }

    /// Groups with intents that are not terminal, in the order of the oldest of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn groups_with_outstanding_intents(&self) -> Result<Vec<GroupId>, StoreError> {
        self.read(|connection| {
            let rows = intents::table
                .inner_join(conversations::table)
                .filter(is_outstanding())
                .group_by(conversations::group_id)
                .order(diesel::dsl::min(intents::id))
                .select(conversations::group_id)
                .load::<Vec<u8>>(connection)?;
            rows.iter().map(|group| value::to_group(group, "conversations.group_id")).collect()
        })
    }
}

/// Written out, not bound: SQLite uses a partial index only for a condition it can read.
fn is_outstanding() -> diesel::expression::SqlLiteral<Bool> {
    sql::<Bool>("intents.state < 4")
}

/// Intents of a group that are not terminal, in the order they were queued.
pub(crate) fn outstanding(connection: &mut SqliteConnection, group: &GroupId) -> Result<Vec<Intent>, StoreError> {
    let rows = outstanding_query(group).load(connection)?;
    to_intents(connection, rows)
}

pub(crate) fn outstanding_query(
    group: &GroupId,
) -> impl QueryFragment<Sqlite> + LoadQuery<'_, SqliteConnection, (IntentRow, Vec<u8>)> {
    intents::table
        .inner_join(conversations::table)
        .filter(conversations::group_id.eq(group.as_bytes()))
        .filter(is_outstanding())
        .order(intents::id)
        .select((IntentRow::as_select(), conversations::group_id))
}

fn by_id(connection: &mut SqliteConnection, id: IntentId) -> Result<Option<Intent>, StoreError> {
    let rows = intents::table
        .inner_join(conversations::table)
        .filter(intents::id.eq(id.0))
        .select((IntentRow::as_select(), conversations::group_id))
        .load(connection)?;
    Ok(to_intents(connection, rows)?.pop())
}

/// The intent that a payload hash belongs to.
fn holder(connection: &mut SqliteConnection, hash: &[u8; 32]) -> Result<Option<i64>, StoreError> {
    Ok(intent_hashes::table.find(&hash[..]).select(intent_hashes::intent).first(connection).optional()?)
}

/// One transition of an intent.
pub(crate) struct Move {
    pub(crate) id: IntentId,
    pub(crate) from: IntentState,
    pub(crate) to: IntentState,
    pub(crate) attempts: u32,
}

impl Transaction<'_> {
    pub(crate) fn queue_intent(&mut self, new: &NewIntent) -> Result<(), StoreError> {
        let conversation = self.conversation(&new.group)?;
        let id = insert_into(intents::table)
            .values((
                intents::conversation.eq(conversation),
                intents::kind.eq(new.kind.number()),
                intents::state.eq(IntentState::ToPublish.number()),
                intents::attempts.eq(0),
                intents::should_push.eq(new.should_push),
                intents::message.eq(new.message.as_ref().map(|id| &id.as_bytes()[..])),
                intents::data.eq(&new.data),
            ))
            .returning(intents::id)
            .get_result(self.connection)?;
        self.applied.intents.push(IntentId(id));
        Ok(())
    }

    pub(crate) fn move_intent(
        &mut self,
        Move { id, from, to, attempts }: Move,
        error: Option<IntentError>,
        payload: &PayloadChange,
        resolved_at: Option<Cursor>,
    ) -> Result<(), StoreError> {
        let moved = update(intents::table.find(id.0).filter(intents::state.eq(from.number())))
            .set((
                intents::state.eq(to.number()),
                intents::attempts.eq(i64::from(attempts)),
                intents::error.eq(error.map(IntentError::number)),
            ))
            .execute(self.connection)?;
        if moved == 0 {
            return Err(StoreError::IntentMoved { id });
        }
        if let Some(at) = resolved_at {
            update(intents::table.find(id.0))
                .set((
                    intents::originator.eq(i64::from(at.originator.0)),
                    intents::sequence.eq(value::sequence(at.sequence)?),
                ))
                .execute(self.connection)?;
        }
        match payload {
            PayloadChange::Keep => Ok(()),
            PayloadChange::Set(payload) => self.set_payload(id, payload),
            PayloadChange::Drop => self.drop_payload(id),
            PayloadChange::Finish => {
                self.drop_payload(id)?;
                self.drop_data(id, to)
            }
        }
    }

    fn set_payload(&mut self, id: IntentId, payload: &Payload) -> Result<(), StoreError> {
        let Payload { bytes, hash, epoch, authenticator, staged, post_commit } = payload;
        let new = insert_into(intent_hashes::table)
            .values((intent_hashes::hash.eq(&hash[..]), intent_hashes::intent.eq(id.0)))
            .on_conflict(intent_hashes::hash)
            .do_nothing()
            .execute(self.connection)?;
        if new == 0
            && let Some(holder) = holder(self.connection, hash)?
            && holder != id.0
        {
            return Err(StoreError::DuplicatePayload { holder: IntentId(holder) });
        }
        update(intents::table.find(id.0))
            .set((
                intents::hash.eq(&hash[..]),
                intents::payload.eq(bytes),
                intents::epoch.eq(value::epoch(*epoch)),
                intents::authenticator.eq(authenticator),
                intents::staged.eq(staged),
                intents::post_commit.eq(post_commit),
            ))
            .execute(self.connection)?;
        Ok(())
    }

    /// The hash stays in its own table.
    fn drop_payload(&mut self, id: IntentId) -> Result<(), StoreError> {
        let none = None::<&[u8]>;
        update(intents::table.find(id.0))
            .set((
                intents::hash.eq(none),
                intents::payload.eq(none),
                intents::epoch.eq(None::<i64>),
                intents::authenticator.eq(none),
                intents::staged.eq(none),
                intents::post_commit.eq(none),
            ))
            .execute(self.connection)?;
        Ok(())
    }

    /// A finished intent forgets what it wanted, unless it failed: then the application may read it. A message's
    /// content goes in any case: it must not outlive its message.
    fn drop_data(&mut self, id: IntentId, state: IntentState) -> Result<(), StoreError> {
        let sends = intents::kind.eq(IntentKind::SendMessage.number());
        let empty = intents::data.eq(&[][..]);
        if state == IntentState::Error {
            update(intents::table.find(id.0).filter(sends)).set(empty).execute(self.connection)?;
        } else {
            update(intents::table.find(id.0)).set(empty).execute(self.connection)?;
        }
        Ok(())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = intents)]
pub(crate) struct IntentRow {
    id: i64,
    kind: i32,
    state: i32,
    attempts: i64,
    error: Option<i32>,
    should_push: bool,
    message: Option<Vec<u8>>,
    originator: Option<i64>,
    sequence: Option<i64>,
    data: Vec<u8>,
    hash: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    epoch: Option<i64>,
    authenticator: Option<Vec<u8>>,
    staged: Option<Vec<u8>>,
    post_commit: Option<Vec<u8>>,
}

/// Rows with their earlier hashes. Kinds and states of a newer release are left out.
fn to_intents(connection: &mut SqliteConnection, rows: Vec<(IntentRow, Vec<u8>)>) -> Result<Vec<Intent>, StoreError> {
    let ids: Vec<i64> = rows.iter().map(|(row, _)| row.id).collect();
    let mut hashes = hashes_of(connection, &ids)?;
    let mut found = Vec::with_capacity(rows.len());
    for (row, group) in rows {
        let known = (IntentKind::from_number(row.kind), IntentState::from_number(row.state));
        let (Some(kind), Some(state)) = known else { continue };
        let hashes = hashes.remove(&row.id).unwrap_or_default();
        found.push(to_intent(row, kind, state, value::to_group(&group, "conversations.group_id")?, hashes)?);
    }
    Ok(found)
}

/// All hashes of these intents.
fn hashes_of(connection: &mut SqliteConnection, ids: &[i64]) -> Result<HashMap<i64, Vec<[u8; 32]>>, StoreError> {
    let mut hashes: HashMap<i64, Vec<[u8; 32]>> = HashMap::new();
    for chunk in ids.chunks(CHUNK) {
        let query = intent_hashes::table
            .filter(intent_hashes::intent.eq_any(chunk))
            .select((intent_hashes::intent, intent_hashes::hash));
        for (intent, hash) in query.load::<(i64, Vec<u8>)>(connection)? {
            hashes.entry(intent).or_default().push(value::to_bytes(&hash, "intent_hashes.hash")?);
        }
    }
    Ok(hashes)
}

fn to_intent(
    row: IntentRow,
    kind: IntentKind,
    state: IntentState,
    group: GroupId,
    hashes: Vec<[u8; 32]>,
) -> Result<Intent, StoreError> {
    let message = row.message.as_deref().map(|id| value::to_message_id(id, "intents.message")).transpose()?;
    let error = |number| IntentError::from_number(number).ok_or(value::corrupt("intents.error"));
    let payload = match (row.hash, row.payload, row.epoch, row.authenticator) {
        (Some(hash), Some(bytes), Some(epoch), Some(authenticator)) => Some(Payload {
            bytes,
            hash: value::to_bytes(&hash, "intents.hash")?,
            epoch: value::to_epoch(epoch),
            authenticator,
            staged: row.staged,
            post_commit: row.post_commit,
        }),
        (None, None, None, None) => None,
        _ => return Err(value::corrupt("intents.payload")),
    };
    let current = payload.as_ref().map(|payload| payload.hash);
    Ok(Intent {
        id: IntentId(row.id),
        new: NewIntent { group, kind, data: row.data, should_push: row.should_push, message },
        state,
        attempts: value::to_u32(row.attempts, "intents.attempts")?,
        error: row.error.map(error).transpose()?,
        earlier: hashes.into_iter().filter(|hash| Some(*hash) != current).collect(),
        payload,
        resolved_at: value::to_cursor_option(row.originator, row.sequence, "intents.sequence")?,
    })
}
