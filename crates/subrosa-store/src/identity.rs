//! The installation's own identity, one row, and its registration while that is under way.
//!
//! Every write here is durable against a power cut when it returns: bytes signed with these keys leave the machine
//! after it.

use std::fmt;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SqliteConnection, delete, insert_into, update,
};
use subrosa_sync::{Change, Durability};
use subrosa_types::{InboxId, UnixNanos};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    Store, StoreError,
    apply::{self, Transaction},
    schema::{identity, pending_registration},
    value,
};

/// The single row's id.
const ROW: i32 = 1;

/// Who this installation is.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a record")]
pub struct StoredIdentity {
    /// The inbox it belongs to.
    pub inbox: InboxId,
    /// Seed of the installation's Ed25519 key. Wiped on drop.
    pub seed: Zeroizing<[u8; 32]>,
    /// Whether the network knows the installation: its identity update and key package are there.
    pub registered: bool,
    /// Root of the HMAC keys by which push servers recognise own messages (client §11). Wiped on drop.
    pub hmac_root: Zeroizing<[u8; 42]>,
    /// When the key package is replaced next; a time that has passed means now (sync §6.2).
    pub next_rotation: UnixNanos,
}

impl fmt::Debug for StoredIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inbox, seed: _, registered, hmac_root: _, next_rotation } = self;
        f.debug_struct("StoredIdentity")
            .field("inbox", inbox)
            .field("registered", registered)
            .field("next_rotation", next_rotation)
            .finish_non_exhaustive()
    }
}

/// A registration under way: the bytes that are sent, and sent again as they are until they are known to be there.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a record")]
pub struct PendingRegistration {
    /// The signed identity update.
    pub identity_update: Vec<u8>,
    /// The key package.
    pub key_package: Vec<u8>,
    /// How far it came; numbered by the caller.
    pub stage: i32,
}

impl Store {
    /// The identity; `None` in a new database.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity(&self) -> Result<Option<StoredIdentity>, StoreError> {
        self.read(load)
    }

    /// Begins a registration: the identity, the bytes that will be sent, and what `key_package` says of the key
    /// package among them. All or nothing. The same inbox and seed again replace everything else.
    ///
    /// # Errors
    /// [`StoreError::OtherIdentity`] if there is another one; nothing was changed.
    pub fn begin_registration(
        &self,
        new: &StoredIdentity,
        pending: &PendingRegistration,
        key_package: &[Change],
    ) -> Result<(), StoreError> {
        self.write(Durability::Power, |connection| {
            save(connection, new)?;
            apply::apply(connection, key_package)?;
            save_pending(connection, pending)
        })
    }

    /// Another installation of the inbox renewed the HMAC root.
    ///
    /// # Errors
    /// [`StoreError::NoIdentity`] without one.
    pub fn set_hmac_root(&self, root: &[u8; 42]) -> Result<(), StoreError> {
        self.write(Durability::Power, |connection| {
            known(update(identity::table).set(identity::hmac_root.eq(&root[..])).execute(connection)?)
        })
    }

    /// The registration under way, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pending_registration(&self) -> Result<Option<PendingRegistration>, StoreError> {
        self.read(|connection| {
            let row = pending_registration::table
                .select((
                    pending_registration::identity_update,
                    pending_registration::key_package,
                    pending_registration::stage,
                ))
                .first::<(Vec<u8>, Vec<u8>, i32)>(connection)
                .optional()?;
            Ok(row.map(|(identity_update, key_package, stage)| PendingRegistration {
                identity_update,
                key_package,
                stage,
            }))
        })
    }

    /// Stores the bytes that will be sent, in place of earlier ones, and what `key_package` says of the key package
    /// among them, which is replaced at `next_rotation`, or earlier if it is used until then. All or nothing.
    ///
    /// # Errors
    /// [`StoreError::NoIdentity`] without an identity.
    pub fn begin_key_package(
        &self,
        pending: &PendingRegistration,
        key_package: &[Change],
        next_rotation: UnixNanos,
    ) -> Result<(), StoreError> {
        self.write(Durability::Power, |connection| {
            apply::apply(connection, key_package)?;
            save_pending(connection, pending)?;
            let rotation = identity::next_rotation.eq(next_rotation.as_nanos());
            known(update(identity::table).set(rotation).execute(connection)?)
        })
    }

    /// Forgets a key package under way that no node takes; another one is due by `retry_by` (sync §6.2). All or
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::NoIdentity`] without an identity.
    pub fn abandon_key_package(&self, retry_by: UnixNanos) -> Result<(), StoreError> {
        self.write(Durability::Power, |connection| {
            apply::apply(connection, &[Change::RotateKeyPackageBy(retry_by)])?;
            finish(connection)
        })
    }
}

impl Transaction<'_> {
    pub(crate) fn rotate_key_package_by(&mut self, at: UnixNanos) -> Result<(), StoreError> {
        let later = identity::next_rotation.gt(at.as_nanos());
        let changed = update(identity::table.filter(later))
            .set(identity::next_rotation.eq(at.as_nanos()))
            .execute(self.connection)?;
        if changed == 0 && load(self.connection)?.is_none() {
            return Err(StoreError::NoIdentity);
        }
        Ok(())
    }
}

/// Fails unless the one row was there.
pub(crate) const fn known(changed: usize) -> Result<(), StoreError> {
    if changed == 0 { Err(StoreError::NoIdentity) } else { Ok(()) }
}

fn save(connection: &mut SqliteConnection, new: &StoredIdentity) -> Result<(), StoreError> {
    if let Some(old) = load(connection)?
        && (old.inbox != new.inbox || old.seed != new.seed)
    {
        return Err(StoreError::OtherIdentity);
    }
    let columns = (
        identity::inbox.eq(&new.inbox.as_bytes()[..]),
        identity::seed.eq(&new.seed[..]),
        identity::registered.eq(new.registered),
        identity::hmac_root.eq(&new.hmac_root[..]),
        identity::next_rotation.eq(new.next_rotation.as_nanos()),
    );
    insert_into(identity::table)
        .values((identity::id.eq(ROW), columns))
        .on_conflict(identity::id)
        .do_update()
        .set(columns)
        .execute(connection)?;
    Ok(())
}

fn save_pending(connection: &mut SqliteConnection, pending: &PendingRegistration) -> Result<(), StoreError> {
    let columns = (
        pending_registration::identity_update.eq(&pending.identity_update),
        pending_registration::key_package.eq(&pending.key_package),
        pending_registration::stage.eq(pending.stage),
    );
    insert_into(pending_registration::table)
        .values((pending_registration::id.eq(ROW), columns))
        .on_conflict(pending_registration::id)
        .do_update()
        .set(columns)
        .execute(connection)?;
    Ok(())
}

/// Marks the installation as known to the network, and forgets what was pending.
pub(crate) fn finish(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let changed = update(identity::table).set(identity::registered.eq(true)).execute(connection)?;
    delete(pending_registration::table).execute(connection)?;
    known(changed)
}

fn load(connection: &mut SqliteConnection) -> Result<Option<StoredIdentity>, StoreError> {
    let row = identity::table
        .select((identity::inbox, identity::seed, identity::registered, identity::hmac_root, identity::next_rotation))
        .first::<(Vec<u8>, Vec<u8>, bool, Vec<u8>, i64)>(connection)
        .optional()?;
    let Some((inbox, mut seed, registered, mut hmac_root, next_rotation)) = row else { return Ok(None) };
    let stored = StoredIdentity {
        inbox: value::to_inbox(&inbox, "identity.inbox")?,
        seed: Zeroizing::new(value::to_bytes(&seed, "identity.seed")?),
        registered,
        hmac_root: Zeroizing::new(value::to_bytes(&hmac_root, "identity.hmac_root")?),
        next_rotation: value::to_time(next_rotation),
    };
    seed.zeroize();
    hmac_root.zeroize();
    Ok(Some(stored))
}
