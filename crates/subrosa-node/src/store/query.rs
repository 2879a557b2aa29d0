//! Reads. Every list is bounded in rows and in bytes before it is in memory.

use diesel::{OptionalExtension, SqliteConnection, connection::DefaultLoadingMode, prelude::*, result::QueryResult};
use prost::Message;
use subrosa_proto::xmtp::{
    identity::associations::RecoverableEd25519Signature, mls::api::v1 as api, mls::message_contents,
};

use super::{
    item::{WelcomeParts, group_message, welcome_message},
    schema::{addresses, commit_log, group_messages, inbox_log, key_packages, welcomes},
};

/// Which part of a log is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    /// Whether the newest come first.
    pub(crate) descending: bool,
    /// Exclusive bound; 0 is none.
    pub(crate) cursor: i64,
    /// Most items.
    pub(crate) limit: usize,
    /// Most bytes on the wire; one item is always returned.
    pub(crate) bytes: usize,
}

impl Slice {
    fn rows(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }

    /// Takes items until the slice is full.
    fn fill<R, T: Message>(
        &self,
        rows: impl Iterator<Item = QueryResult<R>>,
        read: impl Fn(R) -> T,
    ) -> QueryResult<Cut<T>> {
        let (mut items, mut size) = (Vec::new(), 0);
        for row in rows {
            let item = read(row?);
            let length = item.encoded_len() + ITEM_FRAMING;
            if !items.is_empty() && size + length > self.bytes {
                return Ok(Cut { items, bytes: size, is_cut: true });
            }
            size += length;
            items.push(item);
        }
        Ok(Cut { items, bytes: size, is_cut: false })
    }
}

/// Field number and length before a repeated item, in bytes.
const ITEM_FRAMING: usize = 6;

/// Items of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Cut<T> {
    pub(crate) items: Vec<T>,
    /// Their size on the wire.
    pub(crate) bytes: usize,
    /// Whether the limit in bytes ended it.
    pub(crate) is_cut: bool,
}

type GroupRow = (i64, Vec<u8>, i64, i32, bool, Vec<u8>, Vec<u8>);

fn read_group_row(row: GroupRow) -> api::GroupMessage {
    let (id, group_id, created_ns, content_type, should_push, sender_hmac, data) = row;
    group_message(id, created_ns, group_id, content_type, should_push, sender_hmac, data)
}

/// Messages of one group.
pub(crate) fn group_messages(
    connection: &mut SqliteConnection,
    group: &[u8],
    slice: Slice,
) -> QueryResult<Cut<api::GroupMessage>> {
    use group_messages::dsl;

    let mut query = dsl::group_messages
        .filter(dsl::group_id.eq(group))
        .select((
            dsl::id,
            dsl::group_id,
            dsl::created_ns,
            dsl::content_type,
            dsl::should_push,
            dsl::sender_hmac,
            dsl::data,
        ))
        .limit(slice.rows())
        .into_boxed();
    if slice.cursor != 0 {
        query = if slice.descending {
            query.filter(dsl::id.lt(slice.cursor))
        } else {
            query.filter(dsl::id.gt(slice.cursor))
        };
    }
    query = if slice.descending { query.order(dsl::id.desc()) } else { query.order(dsl::id.asc()) };
    slice.fill(query.load_iter::<GroupRow, DefaultLoadingMode>(connection)?, read_group_row)
}

type WelcomeRow = (i64, Vec<u8>, i64, bool, i32, Vec<u8>, Vec<u8>, Vec<u8>);

fn read_welcome_row(row: WelcomeRow) -> api::WelcomeMessage {
    let (id, installation, created_ns, is_pointer, algorithm, hpke_key, metadata, data) = row;
    let parts = WelcomeParts { is_pointer, algorithm, hpke_key, metadata, data };
    welcome_message(id, created_ns, installation, parts)
}

/// Welcomes of one installation.
pub(crate) fn welcomes(
    connection: &mut SqliteConnection,
    installation: &[u8],
    slice: Slice,
) -> QueryResult<Cut<api::WelcomeMessage>> {
    use welcomes::dsl;

    let mut query = dsl::welcomes
        .filter(dsl::installation.eq(installation))
        .select((
            dsl::id,
            dsl::installation,
            dsl::created_ns,
            dsl::is_pointer,
            dsl::algorithm,
            dsl::hpke_key,
            dsl::metadata,
            dsl::data,
        ))
        .limit(slice.rows())
        .into_boxed();
    if slice.cursor != 0 {
        query = if slice.descending {
            query.filter(dsl::id.lt(slice.cursor))
        } else {
            query.filter(dsl::id.gt(slice.cursor))
        };
    }
    query = if slice.descending { query.order(dsl::id.desc()) } else { query.order(dsl::id.asc()) };
    slice.fill(query.load_iter::<WelcomeRow, DefaultLoadingMode>(connection)?, read_welcome_row)
}

/// The newest message of a group; its content is read only if asked for.
pub(crate) fn newest_group_message(
    connection: &mut SqliteConnection,
    group: &[u8],
    with_content: bool,
) -> QueryResult<Option<api::GroupMessage>> {
    use group_messages::dsl;

    let newest = dsl::group_messages.filter(dsl::group_id.eq(group)).order(dsl::id.desc());
    if with_content {
        let columns =
            (dsl::id, dsl::group_id, dsl::created_ns, dsl::content_type, dsl::should_push, dsl::sender_hmac, dsl::data);
        return Ok(newest.select(columns).first::<GroupRow>(connection).optional()?.map(read_group_row));
    }
    let row: Option<(i64, i64, i32)> =
        newest.select((dsl::id, dsl::created_ns, dsl::content_type)).first(connection).optional()?;
    Ok(row.map(|(id, created, content_type)| {
        group_message(id, created, group.to_vec(), content_type, false, Vec::new(), Vec::new())
    }))
}

/// The current key package of an installation.
pub(crate) fn key_package(connection: &mut SqliteConnection, installation: &[u8]) -> QueryResult<Option<Vec<u8>>> {
    use key_packages::dsl;

    dsl::key_packages.filter(dsl::installation.eq(installation)).select(dsl::data).first(connection).optional()
}

/// An entry of an inbox log.
#[derive(Clone, Debug, Queryable)]
pub(crate) struct LogRow {
    pub(crate) id: i64,
    pub(crate) server_ns: i64,
    /// The serialised update.
    pub(crate) data: Vec<u8>,
}

/// Everything in an inbox log after a position. Its size is bounded by the limits on entries and their size.
pub(crate) fn inbox_log(connection: &mut SqliteConnection, inbox: &[u8], after: i64) -> QueryResult<Vec<LogRow>> {
    use inbox_log::dsl;

    dsl::inbox_log
        .filter(dsl::inbox.eq(inbox))
        .filter(dsl::id.gt(after))
        .order(dsl::id.asc())
        .select((dsl::id, dsl::server_ns, dsl::data))
        .load(connection)
}

/// The inbox an identifier belongs to: its newest association that was not revoked (identity §8.3). Texts of different
/// kinds never coincide, so the kind may be left open.
pub(crate) fn inbox_of(
    connection: &mut SqliteConnection,
    kind: Option<i32>,
    identifier: &str,
) -> QueryResult<Option<Vec<u8>>> {
    use addresses::dsl;

    let mut query = dsl::addresses
        .filter(dsl::identifier.eq(identifier))
        .filter(dsl::revoked_id.is_null())
        .order(dsl::associated_id.desc())
        .select(dsl::inbox)
        .into_boxed();
    if let Some(kind) = kind {
        query = query.filter(dsl::kind.eq(kind));
    }
    query.first(connection).optional()
}

type CommitLogRow = (i64, Vec<u8>, Vec<u8>, Vec<u8>);

fn read_commit_log_row(row: CommitLogRow) -> message_contents::CommitLogEntry {
    let (id, entry, bytes, public_key) = row;
    message_contents::CommitLogEntry {
        sequence_id: id.cast_unsigned(),
        serialized_commit_log_entry: entry,
        signature: Some(RecoverableEd25519Signature { bytes, public_key }),
    }
}

/// A page of a group's commit log, ascending.
pub(crate) fn commit_log(
    connection: &mut SqliteConnection,
    group: &[u8],
    slice: Slice,
) -> QueryResult<Cut<message_contents::CommitLogEntry>> {
    use commit_log::dsl;

    let rows = dsl::commit_log
        .filter(dsl::group_id.eq(group))
        .filter(dsl::id.gt(slice.cursor))
        .order(dsl::id.asc())
        .select((dsl::id, dsl::entry, dsl::signature, dsl::public_key))
        .limit(slice.rows())
        .load_iter::<CommitLogRow, DefaultLoadingMode>(connection)?;
    slice.fill(rows, read_commit_log_row)
}
