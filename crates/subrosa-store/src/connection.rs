//! Opening a connection: key first, proof of the cipher, settings, schema (sync §5.1).

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{DatabaseKey, Encryption, Location, OpenError};

/// How long a statement waits for another process before it fails as busy (sync §5.1).
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The newest database format this release reads and the one it writes; one migration leads to each.
pub const FORMAT: i32 = 1;

/// Left in every file by the first migration, so that other software's databases are told apart.
const APPLICATION_ID: i32 = 0x5375_5273;

/// How an unencrypted SQLite file begins.
const PLAIN_HEADER: &[u8; 16] = b"SQLite format 3\0";

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// The one that writes; it makes the file and brings the schema up to date.
    Writer,
    /// Reads only.
    Reader,
}

/// Opens one connection. [`Location::File`] must hold an absolute path.
pub(crate) fn open(location: &Location, encryption: &Encryption, role: Role) -> Result<SqliteConnection, OpenError> {
    let url = match location {
        Location::Memory => ":memory:",
        Location::File(path) => {
            let url = path.to_str().ok_or(OpenError::Path)?;
            if role == Role::Writer {
                create_private(path)?;
                check_header(path, encryption)?;
            }
            url
        }
    };
    let mut connection = SqliteConnection::establish(url)?;
    if let Encryption::Key(key) = encryption {
        unlock(&mut connection, key)?;
    }
    connection.batch_execute(&format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis()))?;
    probe(&mut connection, encryption)?;
    settings(&mut connection, encryption)?;
    if role == Role::Reader {
        connection.batch_execute("PRAGMA query_only = ON")?;
    } else {
        migrate(&mut connection)?;
        if let (Location::File(path), Encryption::Key(_)) = (location, encryption) {
            // The cipher said that it is there; this is the proof.
            check_header(path, encryption)?;
        }
    }
    Ok(connection)
}

/// The path of a file database without dependence on the working directory. SQLite would also take a relative name
/// like `file:x` or `:memory:` for something else than a path.
pub(crate) fn absolute(location: Location) -> Result<Location, OpenError> {
    match location {
        Location::File(path) => {
            let path: PathBuf = std::path::absolute(path)?;
            Ok(Location::File(path))
        }
        Location::Memory => Ok(Location::Memory),
    }
}

/// Makes an empty file that only its owner can read, unless there is a file. SQLite gives its side files the same
/// permissions.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(OpenError::Io(error)),
        _ => Ok(()),
    }
}

/// Refuses a key for a file in the clear. Without this the error would say that the key is wrong.
fn check_header(path: &Path, encryption: &Encryption) -> Result<(), OpenError> {
    let mut start = Vec::with_capacity(PLAIN_HEADER.len());
    File::open(path)?.take(PLAIN_HEADER.len() as u64).read_to_end(&mut start)?;
    match encryption {
        Encryption::Key(_) if start == PLAIN_HEADER => Err(OpenError::NotEncrypted),
        _ => Ok(()),
    }
}

#[derive(QueryableByName)]
struct CipherVersion {
    #[diesel(sql_type = diesel::sql_types::Text)]
    cipher_version: String,
}

/// Gives the key. SQLite without a cipher ignores unknown pragmas, so the cipher is asked for its version first.
fn unlock(connection: &mut SqliteConnection, key: &DatabaseKey) -> Result<(), OpenError> {
    let version: Vec<CipherVersion> = sql_query("PRAGMA cipher_version").load(connection)?;
    if version.iter().all(|v| v.cipher_version.is_empty()) {
        return Err(OpenError::NoCipher);
    }
    // A wrong key is told to the caller, not to the standard error of the process.
    connection.batch_execute("PRAGMA cipher_log_level = NONE")?;
    connection.batch_execute(&key.pragma())?;
    Ok(())
}

/// Reads the first page: the moment at which a wrong key shows.
fn probe(connection: &mut SqliteConnection, encryption: &Encryption) -> Result<(), OpenError> {
    connection.batch_execute("SELECT count(*) FROM sqlite_master").map_err(|error| {
        match (OpenError::from(error), encryption) {
            (OpenError::NotADatabase, Encryption::Key(_)) => OpenError::WrongKey,
            (error, _) => error,
        }
    })
}

/// Settings of a connection (sync §5.1).
///
/// Deleted secrets are overwritten wherever that costs no further write. `cipher_memory_security` stays off: it
/// locks and wipes every allocation of SQLite, at a price for each, and the lock limit of a process is far below
/// what a thousand databases allocate; SQLCipher wipes its own keys in any case.
fn settings(connection: &mut SqliteConnection, encryption: &Encryption) -> Result<(), OpenError> {
    connection.batch_execute(
        "PRAGMA foreign_keys = ON;
         PRAGMA synchronous = NORMAL;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -2000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA wal_autocheckpoint = 1000;
         PRAGMA secure_delete = FAST;
         PRAGMA trusted_schema = OFF;",
    )?;
    if matches!(encryption, Encryption::None) {
        // Only pages that need no deciphering can be mapped.
        connection.batch_execute("PRAGMA mmap_size = 134217728")?;
    }
    Ok(())
}

#[derive(QueryableByName)]
struct Marks {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    application_id: i32,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    user_version: i32,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    tables: i32,
}

/// Brings the schema up to date, once, whoever else opens the file at the same time.
fn migrate(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let format = check_marks(connection)?;
    connection.batch_execute("PRAGMA journal_mode = WAL")?;
    if format == FORMAT {
        return Ok(());
    }
    connection.immediate_transaction(|connection| {
        if check_marks(connection)? != FORMAT {
            connection.run_pending_migrations(MIGRATIONS).map_err(OpenError::Migration)?;
        }
        Ok(())
    })
}

/// The format of the database, 0 for an empty one.
fn check_marks(connection: &mut SqliteConnection) -> Result<i32, OpenError> {
    let marks: Marks = sql_query(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) AS tables
         FROM pragma_application_id, pragma_user_version",
    )
    .get_result(connection)?;
    match marks {
        Marks { application_id: 0, tables: 0, .. } => Ok(0),
        Marks { application_id: APPLICATION_ID, user_version, .. } if user_version > FORMAT => {
            Err(OpenError::NewerSchema { found: user_version, known: FORMAT })
        }
        Marks { application_id: APPLICATION_ID, user_version, .. } => Ok(user_version),
        Marks { application_id, .. } => Err(OpenError::Foreign { application_id }),
    }
}
