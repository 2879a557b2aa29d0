//! Giving up a registration that the network will never take (identity §11.3).

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, delete};
use subrosa_sync::Durability;

use crate::{
    Store, StoreError,
    schema::{identity, key_packages, mls_rows, pending_registration},
};

impl Store {
    /// Forgets an identity that is not registered, with its key packages and their private parts. A registered one
    /// stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn discard_registration(&self) -> Result<(), StoreError> {
        self.write(Durability::Power, |connection| {
            if delete(identity::table.filter(identity::registered.eq(false))).execute(connection)? == 0 {
                return Ok(());
            }
            delete(pending_registration::table).execute(connection)?;
            delete(key_packages::table).execute(connection)?;
            delete(mls_rows::table.filter(mls_rows::scope.eq(&[][..]))).execute(connection)?;
            Ok(())
        })
    }
}
