//! The only place that writes: appends in one durable transaction, then hands the new items to subscribers.

use std::{path::PathBuf, sync::Arc};

use diesel::{SqliteConnection, prelude::*, result::Error as DbError};
use subrosa_proto::xmtp::mls::api::v1 as api;
use subrosa_types::{InboxId, InstallationId, UnixNanos};

use super::{
    Waiting,
    item::{NewCommitLogEntry, NewGroupMessage, NewWelcome},
    prune::Expiry,
    schema::{addresses, commit_log, group_messages, inbox_log, key_packages, welcomes},
};
use crate::{config::Clock, hub::Hubs};

/// What is appended together, all or nothing. Everything in it was checked.
#[derive(Clone, Debug)]
pub(crate) enum Append {
    GroupMessages(Vec<NewGroupMessage>),
    Welcomes(Vec<NewWelcome>),
    KeyPackage {
        installation: InstallationId,
        data: Vec<u8>,
    },
    IdentityUpdate(Box<NewIdentityUpdate>),
    CommitLog(Vec<NewCommitLogEntry>),
    /// Removes what may be forgotten.
    Prune(Expiry),
}

impl Append {
    /// About how many bytes of memory it holds until it is written.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::GroupMessages(messages) => messages.iter().map(|m| m.data.len() + m.sender_hmac.len()).sum(),
            Self::Welcomes(welcomes) => {
                welcomes.iter().map(|w| w.data.len() + w.hpke_key.len() + w.metadata.len()).sum()
            }
            Self::KeyPackage { data, .. } => data.len(),
            Self::IdentityUpdate(update) => update.data.len(),
            Self::CommitLog(entries) => entries.iter().map(|entry| entry.entry.len()).sum(),
            Self::Prune(_) => 0,
        }
    }
}

/// A verified identity update.
#[derive(Clone, Debug)]
pub(crate) struct NewIdentityUpdate {
    pub(crate) inbox: InboxId,
    /// Newest entry of the log that it was verified against; 0 for an empty log.
    pub(crate) after: i64,
    pub(crate) data: Vec<u8>,
    pub(crate) associated: Vec<Association>,
    pub(crate) revoked: Vec<Association>,
}

/// An identifier in the address index (identity §8.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Association {
    pub(crate) kind: i32,
    pub(crate) identifier: String,
}

/// What an append did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Receipt {
    /// Id of the last stored item; 0 when nothing new was stored.
    pub(crate) last_id: i64,
    /// Rows removed by pruning.
    pub(crate) removed: usize,
}

/// Why nothing was appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AppendError {
    /// The database failed; the cause was logged.
    #[error("the database failed")]
    Database,
    /// The inbox log moved since the update was verified.
    #[error("the log moved meanwhile")]
    Moved,
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Closed,
}

/// New items, kept until they are durable.
#[derive(Default)]
struct Fresh {
    messages: Vec<api::GroupMessage>,
    welcomes: Vec<api::WelcomeMessage>,
}

/// The writing connection.
pub(crate) struct Log {
    connection: SqliteConnection,
    /// The file behind the connection.
    path: Option<PathBuf>,
    clock: Clock,
    hubs: Arc<Hubs>,
}

impl Log {
    pub(crate) fn new(connection: SqliteConnection, path: Option<PathBuf>, clock: Clock, hubs: Arc<Hubs>) -> Self {
        Self { connection, path, clock, hubs }
    }

    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Appends one thing in its own transaction.
    pub(crate) fn append(&mut self, append: Append) -> Result<Receipt, AppendError> {
        self.transact(&[append]).pop().unwrap_or(Err(AppendError::Database))
    }

    /// Appends many in one transaction. If it fails, each gets its own, so that none suffers for another.
    pub(super) fn append_batch(&mut self, batch: Vec<Waiting>) {
        let (appends, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|Waiting { append, reply, _room }| (append, (reply, _room))).unzip();
        let mut results = self.transact(&appends);
        if appends.len() > 1 && results.iter().all(|result| *result == Err(AppendError::Database)) {
            results = appends.into_iter().map(|append| self.append(append)).collect();
        }
        for ((reply, _room), result) in replies.into_iter().zip(results) {
            // The caller may be gone; what was stored stays.
            let _ = reply.send(result);
        }
    }

    fn transact(&mut self, batch: &[Append]) -> Vec<Result<Receipt, AppendError>> {
        let now = self.clock.now();
        let count = batch.len();
        let mut fresh = Fresh::default();
        let stored = self.connection.immediate_transaction(|connection| {
            batch.iter().map(|append| store(connection, append, now, &mut fresh)).collect::<Result<Vec<_>, DbError>>()
        });
        match stored {
            Ok(results) => {
                // From here on the items are durable, and this is the only writer: subscribers see commit order.
                self.hubs.messages.publish(fresh.messages);
                self.hubs.welcomes.publish(fresh.welcomes);
                results
            }
            Err(error) => {
                tracing::error!(%error, "append failed");
                self.recover();
                vec![Err(AppendError::Database); count]
            }
        }
    }

    /// After a failed commit nobody knows what is on the disk and in which state the connection is: readers look
    /// again, and writing goes on with a new connection.
    fn recover(&mut self) {
        if let Some(path) = &self.path {
            match super::connect(path) {
                Ok(connection) => self.connection = connection,
                Err(error) => tracing::error!(%error, "the database cannot be opened again"),
            }
        }
        self.hubs.disturb();
    }
}

fn store(
    connection: &mut SqliteConnection,
    append: &Append,
    now: UnixNanos,
    fresh: &mut Fresh,
) -> Result<Result<Receipt, AppendError>, DbError> {
    let mut receipt = Receipt::default();
    match append {
        Append::GroupMessages(messages) => {
            for message in messages {
                if let Some(stored) = store_group_message(connection, message, now, &mut receipt)? {
                    fresh.messages.push(stored);
                }
            }
        }
        Append::Welcomes(welcomes) => {
            for welcome in welcomes {
                if let Some(stored) = store_welcome(connection, welcome, now, &mut receipt)? {
                    fresh.welcomes.push(stored);
                }
            }
        }
        Append::KeyPackage { installation, data } => store_key_package(connection, installation, data, now)?,
        Append::IdentityUpdate(update) => return store_identity_update(connection, update, now),
        Append::CommitLog(entries) => {
            for entry in entries {
                receipt.last_id = store_commit_log_entry(connection, entry)?;
            }
        }
        Append::Prune(expiry) => receipt.removed = expiry.remove(connection)?,
    }
    Ok(Ok(receipt))
}

/// Stores a message unless it is a repetition (envelopes §6.4). Times do not go back within a group (N8).
fn store_group_message(
    connection: &mut SqliteConnection,
    message: &NewGroupMessage,
    now: UnixNanos,
    receipt: &mut Receipt,
) -> Result<Option<api::GroupMessage>, DbError> {
    use group_messages::dsl;

    let newest: Option<i64> = dsl::group_messages
        .filter(dsl::group_id.eq(message.group.as_bytes()))
        .order(dsl::id.desc())
        .select(dsl::created_ns)
        .first(connection)
        .optional()?;
    let created = newest.map_or(now, |newest| now.max(UnixNanos::from_nanos(newest)));
    let id: Option<i64> = diesel::insert_into(dsl::group_messages)
        .values((
            dsl::group_id.eq(message.group.as_bytes()),
            dsl::created_ns.eq(created.as_nanos()),
            dsl::content_type.eq(message.content_type),
            dsl::should_push.eq(message.should_push),
            dsl::sender_hmac.eq(&message.sender_hmac),
            dsl::digest.eq(message.digest()),
            dsl::data.eq(&message.data),
        ))
        .on_conflict(dsl::digest)
        .do_nothing()
        .returning(dsl::id)
        .get_result(connection)
        .optional()?;
    Ok(id.map(|id| {
        receipt.last_id = id;
        message.clone().into_message(id, created)
    }))
}

fn store_welcome(
    connection: &mut SqliteConnection,
    welcome: &NewWelcome,
    now: UnixNanos,
    receipt: &mut Receipt,
) -> Result<Option<api::WelcomeMessage>, DbError> {
    use welcomes::dsl;

    let id: Option<i64> = diesel::insert_into(dsl::welcomes)
        .values((
            dsl::installation.eq(&welcome.installation.as_bytes()[..]),
            dsl::created_ns.eq(now.as_nanos()),
            dsl::is_pointer.eq(welcome.is_pointer),
            dsl::algorithm.eq(welcome.algorithm),
            dsl::hpke_key.eq(&welcome.hpke_key),
            dsl::metadata.eq(&welcome.metadata),
            dsl::digest.eq(welcome.digest()),
            dsl::data.eq(&welcome.data),
        ))
        .on_conflict(dsl::digest)
        .do_nothing()
        .returning(dsl::id)
        .get_result(connection)
        .optional()?;
    Ok(id.map(|id| {
        receipt.last_id = id;
        welcome.clone().into_message(id, now)
    }))
}

/// The newest upload wins (N21).
fn store_key_package(
    connection: &mut SqliteConnection,
    installation: &InstallationId,
    data: &[u8],
    now: UnixNanos,
) -> Result<(), DbError> {
    use key_packages::dsl;

    let values =
        (dsl::installation.eq(&installation.as_bytes()[..]), dsl::uploaded_ns.eq(now.as_nanos()), dsl::data.eq(data));
    diesel::replace_into(dsl::key_packages).values(values).execute(connection)?;
    Ok(())
}

/// Appends to the inbox log and moves the address index, if the log is still the one that was judged (N13).
fn store_identity_update(
    connection: &mut SqliteConnection,
    update: &NewIdentityUpdate,
    now: UnixNanos,
) -> Result<Result<Receipt, AppendError>, DbError> {
    use inbox_log::dsl;

    let inbox = &update.inbox.as_bytes()[..];
    let newest: Option<(i64, i64)> = dsl::inbox_log
        .filter(dsl::inbox.eq(inbox))
        .order(dsl::id.desc())
        .select((dsl::id, dsl::server_ns))
        .first(connection)
        .optional()?;
    if newest.map_or(0, |(id, _)| id) != update.after {
        return Ok(Err(AppendError::Moved));
    }
    let time = newest.map_or(now, |(_, time)| now.max(UnixNanos::from_nanos(time)));
    let id: i64 = diesel::insert_into(dsl::inbox_log)
        .values((dsl::inbox.eq(inbox), dsl::server_ns.eq(time.as_nanos()), dsl::data.eq(&update.data)))
        .returning(dsl::id)
        .get_result(connection)?;
    for association in &update.revoked {
        revoke(connection, inbox, association, id)?;
    }
    for association in &update.associated {
        associate(connection, inbox, association, id)?;
    }
    Ok(Ok(Receipt { last_id: id, removed: 0 }))
}

fn associate(
    connection: &mut SqliteConnection,
    inbox: &[u8],
    association: &Association,
    id: i64,
) -> Result<(), DbError> {
    use addresses::dsl;

    let values = (
        dsl::associated_id.eq(id),
        dsl::kind.eq(association.kind),
        dsl::identifier.eq(&association.identifier),
        dsl::inbox.eq(inbox),
    );
    diesel::insert_into(dsl::addresses).values(values).execute(connection)?;
    Ok(())
}

/// Marks the newest association of the identifier with this inbox as revoked (identity §8.3).
fn revoke(connection: &mut SqliteConnection, inbox: &[u8], association: &Association, id: i64) -> Result<(), DbError> {
    use addresses::dsl;

    let rows = || {
        dsl::addresses
            .filter(dsl::identifier.eq(&association.identifier))
            .filter(dsl::kind.eq(association.kind))
            .filter(dsl::inbox.eq(inbox))
    };
    let newest: Option<i64> =
        rows().order(dsl::associated_id.desc()).select(dsl::associated_id).first(connection).optional()?;
    if let Some(newest) = newest {
        diesel::update(rows().filter(dsl::associated_id.eq(newest))).set(dsl::revoked_id.eq(id)).execute(connection)?;
    }
    Ok(())
}

fn store_commit_log_entry(connection: &mut SqliteConnection, entry: &NewCommitLogEntry) -> Result<i64, DbError> {
    use commit_log::dsl;

    diesel::insert_into(dsl::commit_log)
        .values((
            dsl::group_id.eq(&entry.group_id),
            dsl::entry.eq(&entry.entry),
            dsl::signature.eq(&entry.signature),
            dsl::public_key.eq(&entry.public_key),
        ))
        .returning(dsl::id)
        .get_result(connection)
}
