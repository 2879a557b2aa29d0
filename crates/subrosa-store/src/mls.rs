//! Rows of MLS state: opaque values of the group crate.

use std::collections::BTreeSet;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SqliteConnection, delete, insert_into,
    upsert::excluded,
};
use subrosa_group::{RowChanges, RowKey};
use subrosa_types::GroupId;

use crate::{Store, StoreError, apply::Transaction, schema::mls_rows, value};

impl Store {
    /// All rows of one group, in the order of their keys. Empty for a group that is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn mls_rows(&self, group: &GroupId) -> Result<Vec<(RowKey, Vec<u8>)>, StoreError> {
        self.read(|connection| load(connection, group.as_bytes()))
    }

    /// All rows of the installation itself: key packages and their keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn installation_rows(&self) -> Result<Vec<(RowKey, Vec<u8>)>, StoreError> {
        self.read(|connection| load(connection, &[]))
    }

    /// The value of one row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn mls_row(&self, key: &RowKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|connection| {
            let row = mls_rows::table.find((&key.scope, i32::from(key.label), &key.key)).select(mls_rows::value);
            Ok(row.first(connection).optional()?)
        })
    }
}

impl Transaction<'_> {
    pub(crate) fn rows(&mut self, changes: &RowChanges) -> Result<(), StoreError> {
        write(self.connection, changes)
    }
}

/// All rows of a scope, with one query.
pub(crate) fn load(connection: &mut SqliteConnection, scope: &[u8]) -> Result<Vec<(RowKey, Vec<u8>)>, StoreError> {
    mls_rows::table
        .filter(mls_rows::scope.eq(scope))
        .order((mls_rows::label, mls_rows::key))
        .select((mls_rows::label, mls_rows::key, mls_rows::value))
        .load::<(i32, Vec<u8>, Vec<u8>)>(connection)?
        .into_iter()
        .map(|(label, key, row)| {
            let label = u8::try_from(label).map_err(|_| value::corrupt("mls_rows.label"))?;
            Ok((RowKey { scope: scope.to_vec(), label, key }, row))
        })
        .collect()
}

/// Clears, deletes, puts, in this order.
pub(crate) fn write(connection: &mut SqliteConnection, changes: &RowChanges) -> Result<(), StoreError> {
    let RowChanges { put, delete: gone, clear_scope } = changes;
    if *clear_scope {
        delete(mls_rows::table.filter(mls_rows::scope.eq(scope_of(put)?))).execute(connection)?;
    }
    for key in gone {
        delete(mls_rows::table.find((&key.scope, i32::from(key.label), &key.key))).execute(connection)?;
    }
    for (key, row) in put {
        insert_into(mls_rows::table)
            .values((
                mls_rows::scope.eq(&key.scope),
                mls_rows::label.eq(i32::from(key.label)),
                mls_rows::key.eq(&key.key),
                mls_rows::value.eq(row),
            ))
            .on_conflict((mls_rows::scope, mls_rows::label, mls_rows::key))
            .do_update()
            .set(mls_rows::value.eq(excluded(mls_rows::value)))
            .execute(connection)?;
    }
    Ok(())
}

/// The one group among `put`: rows of the installation are never cleared.
fn scope_of(put: &[(RowKey, Vec<u8>)]) -> Result<&[u8], StoreError> {
    let groups: BTreeSet<&[u8]> = put.iter().map(|(key, _)| &key.scope[..]).filter(|scope| !scope.is_empty()).collect();
    match groups.first() {
        Some(group) if groups.len() == 1 => Ok(group),
        _ => Err(StoreError::NoScope),
    }
}
