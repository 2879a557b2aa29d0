//! The node's database: one writer, many readers (design: the node appends many publishes in one durable write).

mod append;
mod item;
mod prune;
pub(crate) mod query;
mod schema;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use diesel::{Connection, ConnectionError, SqliteConnection, connection::SimpleConnection, result::QueryResult};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub(crate) use append::{Append, AppendError, Association, Log, NewIdentityUpdate, Receipt};
pub(crate) use item::{NewCommitLogEntry, NewGroupMessage, NewWelcome};
pub(crate) use prune::Expiry;
pub(crate) use query::{Cut, LogRow, Slice};

use crate::{NodeConfig, hub::Hubs};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// Name of the database file in the node's folder.
const DATABASE: &str = "node.sqlite3";

/// Name of the file that a running node holds locked.
const LOCK: &str = "node.lock";

/// Readers that work at the same time.
const READERS: usize = 8;

/// Appends that may wait for the writer.
const QUEUE: usize = 4096;

/// Most appends in one transaction.
const BATCH: usize = 512;

/// Bytes that may wait for the writer, in units of 1 KiB. Callers wait beyond that.
const WAITING: usize = 256 << 10;

/// Why a node cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder or the lock file cannot be made.
    #[error("the folder {folder} cannot be used")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another node has the folder open.
    #[error("another node uses the folder {folder}")]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Connection(#[from] ConnectionError),
    /// The database cannot be configured.
    #[error("the database cannot be configured")]
    Configuration(#[from] diesel::result::Error),
    /// The tables cannot be made or brought up to date.
    #[error("the tables cannot be brought up to date")]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The writer thread cannot be started.
    #[error("the writer cannot be started")]
    Writer(#[source] io::Error),
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] diesel::result::Error),
    /// No further reader can be opened.
    #[error("the database cannot be opened")]
    Connection(#[from] ConnectionError),
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Closed,
}

/// The database. Reads see every acknowledged append.
pub(crate) enum Store {
    /// Everything in one connection; appends happen on the caller's thread, so that a simulated world is
    /// deterministic.
    Memory(Mutex<Log>),
    /// A file with a writer thread.
    File(FileStore),
}

/// A database file, its writer thread and its readers.
pub(crate) struct FileStore {
    path: PathBuf,
    appends: Option<mpsc::Sender<Waiting>>,
    /// Bounds what the queue holds in memory.
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Mutex<Vec<SqliteConnection>>>,
    permits: Arc<Semaphore>,
    /// Held as long as the store lives: only one node writes, else subscribers would miss what the other wrote.
    _lock: File,
}

type Reply = oneshot::Sender<Result<Receipt, AppendError>>;

/// An append on its way to the writer.
struct Waiting {
    append: Append,
    reply: Reply,
    _room: OwnedSemaphorePermit,
}

impl Store {
    pub(crate) fn open(config: &NodeConfig, hubs: Arc<Hubs>) -> Result<Self, OpenError> {
        let Some(folder) = &config.data else {
            let mut connection = SqliteConnection::establish(":memory:")?;
            connection.run_pending_migrations(MIGRATIONS).map_err(OpenError::Migration)?;
            return Ok(Self::Memory(Mutex::new(Log::new(connection, None, config.clock.clone(), hubs))));
        };
        let lock = lock_folder(folder)?;
        let path = folder.join(DATABASE);
        let mut connection = connect(&path)?;
        connection.run_pending_migrations(MIGRATIONS).map_err(OpenError::Migration)?;
        let log = Log::new(connection, Some(path.clone()), config.clock.clone(), hubs);
        let (appends, queue) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("subrosa-node-writer".to_owned())
            .spawn(move || write_until_closed(log, queue))
            .map_err(OpenError::Writer)?;
        Ok(Self::File(FileStore {
            path,
            appends: Some(appends),
            room: Arc::new(Semaphore::new(WAITING)),
            writer: Some(writer),
            readers: Arc::default(),
            permits: Arc::new(Semaphore::new(READERS)),
            _lock: lock,
        }))
    }

    /// Appends durably. The answer comes after the commit.
    pub(crate) async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        match self {
            Self::Memory(log) => locked(log).append(append),
            Self::File(file) => file.append(append).await,
        }
    }

    /// Reads a snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        match self {
            Self::Memory(log) => Ok(read(locked(log).connection())?),
            Self::File(file) => file.read(read).await,
        }
    }
}

impl Store {
    /// Runs long computations where they block nobody; a node in memory runs them in place, to be deterministic.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        match self {
            Self::Memory(_) => Ok(work()),
            Self::File(_) => tokio::task::spawn_blocking(work).await.map_err(|_| ReadError::Closed),
        }
    }
}

impl FileStore {
    async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        let units = u32::try_from((append.size() >> 10) + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| AppendError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let appends = self.appends.as_ref().ok_or(AppendError::Closed)?;
        appends.send(Waiting { append, reply, _room: room }).await.map_err(|_| AppendError::Closed)?;
        answer.await.map_err(|_| AppendError::Closed)?
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| ReadError::Closed)?;
        let readers = Arc::clone(&self.readers);
        let path = self.path.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let idle = locked(&readers).pop();
            let mut connection = match idle {
                Some(connection) => connection,
                None => connect(&path)?,
            };
            let answer = read(&mut connection);
            // A connection that failed may be in any state; the next reader opens a new one.
            if answer.is_ok() {
                locked(&readers).push(connection);
            }
            Ok(answer?)
        });
        work.await.map_err(|_| ReadError::Closed)?
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        self.appends = None;
        if let Some(writer) = self.writer.take() {
            // Its panic, if any, was printed already.
            drop(writer.join());
        }
    }
}

fn write_until_closed(mut log: Log, mut queue: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::new();
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        log.append_batch(std::mem::take(&mut batch));
    }
}

fn lock_folder(folder: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Folder { folder: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let lock = File::create(folder.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens the file; an acknowledged write survives a crash of the machine (`synchronous=FULL`).
fn connect(path: &Path) -> Result<SqliteConnection, ConnectionError> {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    connection
        .batch_execute(
            "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA cache_size = -16000; PRAGMA mmap_size = 0;",
        )
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// A panic of another thread leaves the data as its transaction left it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
