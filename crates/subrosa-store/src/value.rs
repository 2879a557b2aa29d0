//! Values of rows: what fits in a column, and back.

use subrosa_types::{Cursor, Epoch, GroupId, InboxId, InstallationId, MessageId, OriginatorId, SequenceId, UnixNanos};

use crate::StoreError;

/// A sequence id as a row holds it.
pub(crate) fn sequence(id: SequenceId) -> Result<i64, StoreError> {
    i64::try_from(id.0).map_err(|_| StoreError::OutOfRange(id.0))
}

/// A version or a count as a row holds it.
pub(crate) fn count(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::OutOfRange(number))
}

/// An epoch as a row holds it: any 64 bits, because a peer may choose them. Rows are never ordered by it.
pub(crate) const fn epoch(epoch: Epoch) -> i64 {
    epoch.0.cast_signed()
}

/// The epoch of a row.
pub(crate) const fn to_epoch(stored: i64) -> Epoch {
    Epoch(stored.cast_unsigned())
}

/// The time of a row.
pub(crate) const fn to_time(stored: i64) -> UnixNanos {
    UnixNanos::from_nanos(stored)
}

/// A value of a row that this release did not write.
pub(crate) const fn corrupt(column: &'static str) -> StoreError {
    StoreError::Corrupt { column }
}

pub(crate) fn to_sequence(stored: i64, column: &'static str) -> Result<SequenceId, StoreError> {
    Ok(SequenceId(to_u64(stored, column)?))
}

pub(crate) fn to_u64(stored: i64, column: &'static str) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| corrupt(column))
}

pub(crate) fn to_u32(stored: i64, column: &'static str) -> Result<u32, StoreError> {
    u32::try_from(stored).map_err(|_| corrupt(column))
}

pub(crate) fn to_cursor(originator: i64, sequence: i64, column: &'static str) -> Result<Cursor, StoreError> {
    Ok(Cursor::new(OriginatorId(to_u32(originator, column)?), to_sequence(sequence, column)?))
}

/// A cursor in two columns that are both null or both set.
pub(crate) fn to_cursor_option(
    originator: Option<i64>,
    sequence: Option<i64>,
    column: &'static str,
) -> Result<Option<Cursor>, StoreError> {
    match (originator, sequence) {
        (Some(originator), Some(sequence)) => to_cursor(originator, sequence, column).map(Some),
        (None, None) => Ok(None),
        _ => Err(corrupt(column)),
    }
}

pub(crate) fn to_group(stored: &[u8], column: &'static str) -> Result<GroupId, StoreError> {
    GroupId::from_slice(stored).map_err(|_| corrupt(column))
}

pub(crate) fn to_inbox(stored: &[u8], column: &'static str) -> Result<InboxId, StoreError> {
    InboxId::from_slice(stored).map_err(|_| corrupt(column))
}

pub(crate) fn to_installation(stored: &[u8], column: &'static str) -> Result<InstallationId, StoreError> {
    InstallationId::from_slice(stored).map_err(|_| corrupt(column))
}

pub(crate) fn to_message_id(stored: &[u8], column: &'static str) -> Result<MessageId, StoreError> {
    MessageId::from_slice(stored).map_err(|_| corrupt(column))
}

pub(crate) fn to_bytes<const N: usize>(stored: &[u8], column: &'static str) -> Result<[u8; N], StoreError> {
    stored.try_into().map_err(|_| corrupt(column))
}
