//! What can fail, sorted by who has to act.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use subrosa_sync::{Entity, IntentId};
use subrosa_types::{Cursor, GroupId};

/// Why a database could not be opened. Nothing was changed, except that an empty file may be new.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A key was given, but this build has no cipher: it was made without the feature `encryption`.
    #[error("this build cannot encrypt a database")]
    NoCipher,
    /// The key does not fit, or the file is something else: the cipher cannot tell.
    #[error("the key does not fit this file")]
    WrongKey,
    /// A key was given, but the database is not encrypted.
    #[error("the database is not encrypted")]
    NotEncrypted,
    /// No key was given, and the file is encrypted or something else than a database.
    #[error("the file is encrypted or not a database")]
    NotADatabase,
    /// The database was made by other software.
    #[error("the database belongs to other software (application id {application_id})")]
    Foreign {
        /// The number that other software left in the file; 0 is none.
        application_id: i32,
    },
    /// A newer release wrote the database.
    #[error("the database has format {found}, this release knows {known}")]
    NewerSchema {
        /// The format number in the file.
        found: i32,
        /// The newest format this release reads.
        known: i32,
    },
    /// The path is not valid UTF-8.
    #[error("the path of the database is not UTF-8")]
    Path,
    /// Another process kept the database locked for longer than [`crate::BUSY_TIMEOUT`]; try again.
    #[error("the database is locked by another process")]
    Busy,
    /// The file system refused.
    #[error("the file of the database cannot be used")]
    Io(#[from] std::io::Error),
    /// SQLite did not open the file.
    #[error("the database cannot be opened")]
    Connection(#[from] diesel::ConnectionError),
    /// SQLite failed otherwise.
    #[error("the database does not answer")]
    Database(#[source] DieselError),
    /// The schema could not be brought up to date.
    #[error("the schema cannot be brought up to date")]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<DieselError> for OpenError {
    fn from(error: DieselError) -> Self {
        match Cause::of(&error) {
            Cause::Busy => Self::Busy,
            Cause::NotADatabase => Self::NotADatabase,
            Cause::Full | Cause::Other => Self::Database(error),
        }
    }
}

/// Why a read or a write did not happen. A failed write changed nothing at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    // Somebody else was faster: drop what is loaded, load again, redo.
    /// The group's state has another version than the one that was read.
    #[error("the state of group {group:?} has moved on")]
    Stale {
        /// The group.
        group: GroupId,
    },
    /// The cursor has passed the item, or stands on it.
    #[error("the item at {to:?} was processed already")]
    CursorPassed {
        /// Whose cursor.
        entity: Entity,
        /// The item.
        to: Cursor,
    },
    /// The intent is not in the state it was read in.
    #[error("intent {id:?} has moved on")]
    IntentMoved {
        /// Which.
        id: IntentId,
    },

    // The environment failed: the same call may succeed later.
    /// Another process kept the database locked for longer than [`crate::BUSY_TIMEOUT`].
    #[error("the database is locked by another process")]
    Busy,
    /// No room is left on the device.
    #[error("no room is left for the database")]
    Full,
    /// A connection for reading could not be opened.
    #[error("the database cannot be opened again")]
    Open(#[from] OpenError),
    /// SQLite failed otherwise.
    #[error("the database does not answer")]
    Database(#[source] DieselError),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The runtime stopped before the work was done; whether a write happened is not known.
    #[error("the runtime has stopped")]
    Stopped,

    // The caller made a mistake.
    /// There is no such conversation.
    #[error("group {group:?} is not stored")]
    UnknownConversation {
        /// The group.
        group: GroupId,
    },
    /// There is no own identity yet.
    #[error("no identity is stored")]
    NoIdentity,
    /// There is an identity already, and it is another one.
    #[error("another identity is stored")]
    OtherIdentity,
    /// The payload is already that of another intent.
    #[error("the payload belongs to intent {holder:?}")]
    DuplicatePayload {
        /// Whose payload it is.
        holder: IntentId,
    },
    /// A position is larger than a row can hold, 2⁶³−1.
    #[error("a position of {0} does not fit")]
    OutOfRange(u64),
    /// Rows of a group are to be replaced, but none says of which.
    #[error("no group is named whose rows are to be cleared")]
    NoScope,

    // The file is damaged, or was written by something else.
    /// A stored value is not what this release writes.
    #[error("column {column} holds an unknown value")]
    Corrupt {
        /// Table and column.
        column: &'static str,
    },
}

impl StoreError {
    /// Whether somebody else was faster: what was loaded is out of date, must be loaded again and the work redone.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Stale { .. } | Self::CursorPassed { .. } | Self::IntentMoved { .. })
    }

    /// Whether the work may succeed another time: after loading again for a conflict, as it is otherwise.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Stale { .. } | Self::CursorPassed { .. } | Self::IntentMoved { .. } | Self::Busy | Self::Full => true,
            Self::Database(error) => {
                !matches!(error, DieselError::DatabaseError(kind, _) if !matches!(kind, DatabaseErrorKind::Unknown))
            }
            Self::Open(error) => matches!(error, OpenError::Busy | OpenError::Io(_) | OpenError::Connection(_)),
            Self::Closed
            | Self::Stopped
            | Self::UnknownConversation { .. }
            | Self::NoIdentity
            | Self::OtherIdentity
            | Self::DuplicatePayload { .. }
            | Self::OutOfRange(_)
            | Self::NoScope
            | Self::Corrupt { .. } => false,
        }
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match Cause::of(&error) {
            Cause::Busy => Self::Busy,
            Cause::Full => Self::Full,
            Cause::NotADatabase | Cause::Other => Self::Database(error),
        }
    }
}

enum Cause {
    Busy,
    Full,
    NotADatabase,
    Other,
}

impl Cause {
    /// Diesel passes on SQLite's text but not its code; the texts are constants of SQLite.
    fn of(error: &DieselError) -> Self {
        match error {
            DieselError::DatabaseError(_, information) => match information.message() {
                "database is locked" | "database table is locked" => Self::Busy,
                "database or disk is full" => Self::Full,
                "file is not a database" => Self::NotADatabase,
                _ => Self::Other,
            },
            DieselError::RollbackErrorOnCommit { commit_error, .. } => Self::of(commit_error),
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

    use super::*;

    /// The texts that are looked for are those of the SQLite that is built in.
    #[test]
    fn a_locked_database_is_busy() {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("locked.db").to_str().unwrap().to_owned();
        let mut first = SqliteConnection::establish(&url).unwrap();
        let mut second = SqliteConnection::establish(&url).unwrap();
        first.batch_execute("CREATE TABLE t (x); BEGIN IMMEDIATE").unwrap();
        let error = second.batch_execute("BEGIN IMMEDIATE").unwrap_err();
        let error = StoreError::from(error);
        assert!(matches!(error, StoreError::Busy), "{error:?}");
        assert!(error.is_retryable() && !error.is_conflict());
    }

    #[test]
    fn a_full_device_is_told() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        connection.batch_execute("CREATE TABLE t (x); PRAGMA max_page_count = 2").unwrap();
        let error = StoreError::from(connection.batch_execute("INSERT INTO t VALUES (zeroblob(100000))").unwrap_err());
        assert!(matches!(error, StoreError::Full), "{error:?}");
        assert!(error.is_retryable());
    }

    #[test]
    fn a_broken_constraint_is_not_retried() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        connection
            .batch_execute("CREATE TABLE t (x UNIQUE, y NOT NULL DEFAULT 1); INSERT INTO t (x) VALUES (1)")
            .unwrap();
        for broken in ["INSERT INTO t (x) VALUES (1)", "INSERT INTO t VALUES (2, NULL)"] {
            let error = StoreError::from(connection.batch_execute(broken).unwrap_err());
            assert!(matches!(error, StoreError::Database(_)) && !error.is_retryable(), "{error:?}");
        }
        let damaged = StoreError::from(connection.batch_execute("SELECT * FROM missing").unwrap_err());
        assert!(damaged.is_retryable(), "what SQLite does not classify may pass");
    }
}
