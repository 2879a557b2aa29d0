//! Own key packages: which there are and when their private parts go (groups §1.6, sync §6.2).

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, delete, insert_into, update};
use subrosa_group::RowChanges;
use subrosa_sync::Durability;
use subrosa_types::UnixNanos;

use crate::{Store, StoreError, apply::Transaction, identity, mls, schema::key_packages, value};

/// An own key package. Its private parts are rows of the installation.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a record")]
pub struct KeyPackageRecord {
    /// Its hash reference.
    pub hash_ref: Vec<u8>,
    /// When it was made.
    pub created_at: UnixNanos,
    /// When its private parts go; `None` while it is the one in use.
    pub delete_at: Option<UnixNanos>,
}

impl Store {
    /// All own key packages that are not forgotten, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn key_packages(&self) -> Result<Vec<KeyPackageRecord>, StoreError> {
        self.read(|connection| {
            let rows = key_packages::table.order((key_packages::created_at, key_packages::hash_ref));
            Ok(rows.load(connection)?.into_iter().map(to_record).collect())
        })
    }

    /// The package `current` is on the network, and so is the installation: what was pending is forgotten, and the
    /// other packages go at `delete_others_at`, unless that was decided before.
    ///
    /// # Errors
    /// [`StoreError::NoIdentity`] without an identity.
    pub fn key_package_rotated(&self, current: &[u8], delete_others_at: UnixNanos) -> Result<(), StoreError> {
        self.write(Durability::Power, |connection| {
            update(key_packages::table)
                .filter(key_packages::hash_ref.ne(current))
                .filter(key_packages::delete_at.is_null())
                .set(key_packages::delete_at.eq(delete_others_at.as_nanos()))
                .execute(connection)?;
            identity::finish(connection)
        })
    }

    /// Key packages whose private parts are due to go.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn expired_key_packages(&self, now: UnixNanos) -> Result<Vec<KeyPackageRecord>, StoreError> {
        self.read(|connection| {
            let rows = key_packages::table
                .filter(key_packages::delete_at.le(now.as_nanos()))
                .order((key_packages::delete_at, key_packages::hash_ref));
            Ok(rows.load(connection)?.into_iter().map(to_record).collect())
        })
    }

    /// Forgets key packages together with their private parts, which `rows` deletes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn expire_key_packages<'r>(
        &self,
        hash_refs: impl IntoIterator<Item = &'r [u8]>,
        rows: &RowChanges,
    ) -> Result<(), StoreError> {
        self.write(Durability::Process, |connection| {
            mls::write(connection, rows)?;
            for hash_ref in hash_refs {
                delete(key_packages::table.find(hash_ref)).execute(connection)?;
            }
            Ok(())
        })
    }
}

fn to_record((hash_ref, created_at, delete_at): (Vec<u8>, i64, Option<i64>)) -> KeyPackageRecord {
    KeyPackageRecord { hash_ref, created_at: value::to_time(created_at), delete_at: delete_at.map(value::to_time) }
}

impl Transaction<'_> {
    pub(crate) fn put_key_package(&mut self, hash_ref: &[u8], created_at: UnixNanos) -> Result<(), StoreError> {
        insert_into(key_packages::table)
            .values((key_packages::hash_ref.eq(hash_ref), key_packages::created_at.eq(created_at.as_nanos())))
            .on_conflict(key_packages::hash_ref)
            .do_nothing()
            .execute(self.connection)?;
        Ok(())
    }
}
