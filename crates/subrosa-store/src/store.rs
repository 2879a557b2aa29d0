//! The store: one writing connection, a few reading ones.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use diesel::{SqliteConnection, connection::SimpleConnection};
use subrosa_sync::{Change, Durability};
use tokio::{sync::Semaphore, task::JoinError};

use crate::{
    Applied, Encryption, Location, OpenError, StoreError,
    apply::apply,
    connection::{self, Role},
};

/// Connections for reading that one store opens at most; further readers wait for one.
const MAX_READERS: usize = 4;

/// Connections for reading that stay open while nobody reads.
const MAX_IDLE_READERS: usize = 2;

/// Values in one `IN (…)` list; longer lists are asked for in pieces.
pub(crate) const CHUNK: usize = 500;

/// Threads that write at the same time in this process, over all stores: thousands of clients share them.
const MAX_WRITING_THREADS: usize = 16;

static WRITING_THREADS: Semaphore = Semaphore::const_new(MAX_WRITING_THREADS);

/// The database of one installation. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    location: Location,
    encryption: Encryption,
    /// `None` once the store is closed.
    writer: Mutex<Option<Writer>>,
    /// Whose turn it is to write: tasks wait here, in order, without holding a thread.
    turn: Arc<Semaphore>,
    readers: Mutex<Readers>,
    reader_freed: Condvar,
}

struct Writer {
    connection: SqliteConnection,
    durability: Durability,
}

#[derive(Default)]
struct Readers {
    idle: Vec<SqliteConnection>,
    open: usize,
    closed: bool,
}

impl Store {
    /// Opens a database, or makes it (sync §5.1).
    ///
    /// # Errors
    /// [`OpenError`]; a wrong key is told apart from a newer format and from a busy file.
    pub fn open(location: Location, encryption: Encryption) -> Result<Self, OpenError> {
        let location = connection::absolute(location)?;
        let connection = connection::open(&location, &encryption, Role::Writer)?;
        let writer = Writer { connection, durability: Durability::Process };
        let inner = Inner {
            location,
            encryption,
            writer: Mutex::new(Some(writer)),
            turn: Arc::new(Semaphore::new(1)),
            readers: Mutex::default(),
            reader_freed: Condvar::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes all changes in one transaction, in order, or none of them. When it returns, they are as durable as
    /// asked. A dropped future does not stop a transaction that has begun.
    ///
    /// # Errors
    /// [`StoreError`]: a failed guard says which; nothing was written.
    pub async fn apply(&self, changes: Vec<Change>, durability: Durability) -> Result<Applied, StoreError> {
        let turn = Arc::clone(&self.inner.turn).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let thread = WRITING_THREADS.acquire().await.map_err(|_| StoreError::Closed)?;
        let store = self.clone();
        tokio::task::spawn_blocking(move || {
            let _held = (turn, thread);
            store.apply_blocking(&changes, durability)
        })
        .await
        .unwrap_or_else(|error| Err(stopped(error)))
    }

    /// [`Store::apply`] on the calling thread.
    ///
    /// # Errors
    /// As [`Store::apply`].
    pub fn apply_blocking(&self, changes: &[Change], durability: Durability) -> Result<Applied, StoreError> {
        self.write(durability, |connection| apply(connection, changes))
    }

    /// Runs blocking work with this store on a thread made for it.
    ///
    /// # Errors
    /// Those of `work`, and [`StoreError::Stopped`] if the runtime ended first.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.unwrap_or_else(|error| Err(stopped(error)))
    }

    /// Closes all connections, after those who are writing or reading now. Later calls fail as closed; a file can
    /// be opened again at once.
    pub fn close(&self) {
        let mut readers = self.lock_readers();
        readers.closed = true;
        readers.idle.clear();
        while readers.open > 0 {
            readers = self.inner.reader_freed.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        drop(readers);
        self.inner.reader_freed.notify_all();
        *self.lock_writer() = None;
    }

    /// Runs `work` in one writing transaction.
    pub(crate) fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.lock_writer();
        let writer = writer.as_mut().ok_or(StoreError::Closed)?;
        writer.set_durability(durability)?;
        writer.connection.immediate_transaction(work)
    }

    /// Runs `work` on a connection for reading; in memory there is only the one that writes.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.inner.location {
            Location::Memory => work(&mut self.lock_writer().as_mut().ok_or(StoreError::Closed)?.connection),
            Location::File(_) => work(self.reader()?.connection()?),
        }
    }

    fn lock_writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_readers(&self) -> MutexGuard<'_, Readers> {
        self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> Result<Reader<'_>, StoreError> {
        let mut readers = self.lock_readers();
        loop {
            if readers.closed {
                return Err(StoreError::Closed);
            }
            if let Some(connection) = readers.idle.pop() {
                readers.open += 1;
                return Ok(Reader { store: self, connection: Some(connection) });
            }
            if readers.open < MAX_READERS {
                readers.open += 1;
                break;
            }
            readers = self.inner.reader_freed.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        drop(readers);
        // From here on the guard gives the place back, also if opening fails.
        let mut reader = Reader { store: self, connection: None };
        reader.connection = Some(connection::open(&self.inner.location, &self.inner.encryption, Role::Reader)?);
        Ok(reader)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("location", &self.inner.location).finish_non_exhaustive()
    }
}

impl Writer {
    /// SQLite takes this setting only outside a transaction.
    fn set_durability(&mut self, durability: Durability) -> Result<(), StoreError> {
        if self.durability != durability {
            self.connection.batch_execute(match durability {
                Durability::Process => "PRAGMA synchronous = NORMAL",
                Durability::Power => "PRAGMA synchronous = FULL",
            })?;
            self.durability = durability;
        }
        Ok(())
    }
}

/// A connection borrowed for reading. Its place is free again when it is dropped.
struct Reader<'s> {
    store: &'s Store,
    connection: Option<SqliteConnection>,
}

impl Reader<'_> {
    fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.connection.as_mut().ok_or(StoreError::Closed)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut readers = self.store.lock_readers();
        readers.open -= 1;
        if let Some(connection) = self.connection.take()
            && !readers.closed
            && readers.idle.len() < MAX_IDLE_READERS
            && !std::thread::panicking()
        {
            readers.idle.push(connection);
        }
        drop(readers);
        self.store.inner.reader_freed.notify_all();
    }
}

/// A panic of the work goes on in the task that waits for it.
fn stopped(error: JoinError) -> StoreError {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => StoreError::Stopped,
    }
}
