//! Cursors: how far each log was processed (sync §3.1).

use std::collections::HashMap;

use diesel::{
    ExpressionMethods, QueryDsl, RunQueryDsl, SqliteConnection, insert_into, query_dsl::methods, upsert::excluded,
};
use subrosa_cursor::EntityKind;
use subrosa_sync::Entity;
use subrosa_types::{Cursor, GroupId};

use crate::{Store, StoreError, apply::Transaction, schema::cursors, store::CHUNK, value};

impl Store {
    /// The cursors of one entity and kind, one for each originator. Empty if nothing was processed yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cursor(&self, entity: &Entity) -> Result<Vec<Cursor>, StoreError> {
        self.read(|connection| {
            let query = cursors::table
                .filter(cursors::entity.eq(&entity.id))
                .filter(cursors::kind.eq(entity.kind.number()))
                .order(cursors::originator)
                .select((cursors::originator, cursors::sequence));
            to_cursors(query.load(connection)?)
        })
    }

    /// Message and commit cursors of many groups; groups without cursors are missing from the answer. One query for
    /// each few hundred groups.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cursors_of_groups(&self, groups: &[GroupId]) -> Result<HashMap<GroupId, Vec<Cursor>>, StoreError> {
        self.read(|connection| {
            let mut found: HashMap<GroupId, Vec<Cursor>> = HashMap::new();
            for chunk in groups.chunks(CHUNK) {
                let query = cursors::table
                    .filter(cursors::entity.eq_any(chunk.iter().map(GroupId::as_bytes)))
                    .filter(cursors::kind.eq_any(GROUP_KINDS))
                    .order((cursors::entity, cursors::originator))
                    .select((cursors::entity, cursors::originator, cursors::sequence));
                for (entity, originator, sequence) in query.load::<(Vec<u8>, i64, i64)>(connection)? {
                    let cursor = value::to_cursor(originator, sequence, "cursors.sequence")?;
                    found.entry(value::to_group(&entity, "cursors.entity")?).or_default().push(cursor);
                }
            }
            Ok(found)
        })
    }
}

/// Messages and commits.
const GROUP_KINDS: [i32; 2] = [EntityKind::ApplicationMessage.number(), EntityKind::CommitMessage.number()];

/// Message and commit cursors of one group.
pub(crate) fn of_group(connection: &mut SqliteConnection, group: &GroupId) -> Result<Vec<Cursor>, StoreError> {
    let query = cursors::table
        .filter(cursors::entity.eq(group.as_bytes()))
        .filter(cursors::kind.eq_any(GROUP_KINDS))
        .order(cursors::originator)
        .select((cursors::originator, cursors::sequence));
    to_cursors(query.load(connection)?)
}

fn to_cursors(rows: Vec<(i64, i64)>) -> Result<Vec<Cursor>, StoreError> {
    rows.into_iter().map(|(originator, at)| value::to_cursor(originator, at, "cursors.sequence")).collect()
}

impl Transaction<'_> {
    /// Moves a cursor forward. That it did not move is how two processes learn which of them was first.
    pub(crate) fn move_cursor(&mut self, entity: &Entity, to: Cursor) -> Result<(), StoreError> {
        let sequence = value::sequence(to.sequence)?;
        let moved = methods::FilterDsl::filter(
            insert_into(cursors::table)
                .values((
                    cursors::entity.eq(&entity.id),
                    cursors::kind.eq(entity.kind.number()),
                    cursors::originator.eq(i64::from(to.originator.0)),
                    cursors::sequence.eq(sequence),
                ))
                .on_conflict((cursors::entity, cursors::kind, cursors::originator))
                .do_update()
                .set(cursors::sequence.eq(excluded(cursors::sequence))),
            cursors::sequence.lt(excluded(cursors::sequence)),
        )
        .execute(self.connection)?;
        // A missing cursor stands at 0.
        if moved == 0 || sequence == 0 {
            return Err(StoreError::CursorPassed { entity: entity.clone(), to });
        }
        Ok(())
    }

    pub(crate) fn reset_cursor(&mut self, entity: &Entity, to: Cursor) -> Result<(), StoreError> {
        insert_into(cursors::table)
            .values((
                cursors::entity.eq(&entity.id),
                cursors::kind.eq(entity.kind.number()),
                cursors::originator.eq(i64::from(to.originator.0)),
                cursors::sequence.eq(value::sequence(to.sequence)?),
            ))
            .on_conflict((cursors::entity, cursors::kind, cursors::originator))
            .do_update()
            .set(cursors::sequence.eq(excluded(cursors::sequence)))
            .execute(self.connection)?;
        Ok(())
    }
}
