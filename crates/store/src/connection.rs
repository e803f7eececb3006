//! The open database, and what keeps it open.
//!
//! redb refuses every call after an I/O error until the file is opened anew. A full disk must not
//! end a program that can wait for space, so [`Connection`] drops the database after such an
//! error and opens it again at the next call; redb then returns to the last commit.
//!
//! Only one thread writes at a time. The lock for that is ours rather than redb's, so that
//! dropping and opening never meets a transaction that is under way.

use std::any::Any;
use std::fs::OpenOptions;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use redb::backends::FileBackend;
use redb::{Builder, Database, Durability, ReadableDatabase, StorageBackend};

use crate::error::{Error, Failure, Result};
use crate::staged_backend::{self, StagedFile};
use crate::transaction::{ReadTransaction, WriteTransaction};

/// Bytes of pages that redb may keep in memory. More only helps to pass over all vectors twice in
/// a row (see the measurements in `docs/store-format.md`), and memory is better left to models.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the bytes of a store; a test puts a failing disk here.
pub(crate) type OpenBackend = Box<dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send + Sync>;

/// The file at `path`, which must be there.
pub(crate) fn file_backend(path: &Path) -> OpenBackend {
    let path = path.to_owned();
    Box::new(move || {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(backend))
    })
}

/// A store file, open or about to be opened again.
pub(crate) struct Connection {
    path: PathBuf,
    open_backend: OpenBackend,
    writer: Mutex<()>,
    slot: RwLock<Slot>,
}

/// The open database, if there is one.
struct Slot {
    database: Option<Database>,
    /// How often the database has been opened: tells an error of the present one from an error of
    /// one that was dropped since.
    opened: u64,
}

impl Connection {
    /// Opens the file for the first time. `inspect` sees the database while nothing has been
    /// written yet; if it refuses, the file is left as it is.
    pub(crate) fn open<T>(
        path: &Path,
        open_backend: OpenBackend,
        inspect: impl FnOnce(&Database, &StagedFile) -> Result<T>,
    ) -> Result<(Self, T)> {
        let (database, staged) = open_staged(path, &open_backend)?;
        let found = guarded(path, || inspect(&database, &staged))?;
        staged.release().map_err(|error| Error::io(path, error))?;
        let connection = Self {
            path: path.to_owned(),
            open_backend,
            writer: Mutex::new(()),
            slot: RwLock::new(Slot {
                database: Some(database),
                opened: 1,
            }),
        };
        Ok((connection, found))
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `read` on a snapshot. No lock is held meanwhile, so `read` may call the store.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T> {
        let (opened, begun) = self.begin_read()?;
        let result = begun.and_then(|transaction| read(&transaction));
        result.map_err(|failure| {
            if failure.breaks_connection() {
                self.writer().disconnect(opened);
            }
            failure.at(&self.path)
        })
    }

    /// Runs `write` in a transaction, which lasts if it succeeds and leaves no trace if it fails.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T> {
        self.writer().write(write)
    }

    /// Waits for other writers and keeps them out until the guard is dropped.
    pub(crate) fn writer(&self) -> Writer<'_> {
        Writer {
            connection: self,
            // A panic of a caller's closure leaves nothing half done here.
            _alone: self.writer.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// A snapshot, and which opening of the database it belongs to.
    fn begin_read(&self) -> Result<(u64, Result<ReadTransaction, Failure>)> {
        if let Some(begun) = self.snapshot() {
            return Ok(begun);
        }
        let opened = self.writer().reconnect()?;
        let closed = || Err(Failure::Redb(redb::Error::DatabaseClosed));
        Ok(self.snapshot().unwrap_or_else(|| (opened, closed())))
    }

    /// A snapshot of the database; `None` if it is not open.
    fn snapshot(&self) -> Option<(u64, Result<ReadTransaction, Failure>)> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let begun = slot.database.as_ref()?.begin_read();
        let transaction = begun.map(ReadTransaction::new).map_err(Failure::from);
        Some((slot.opened, transaction))
    }

    fn write_slot(&self) -> RwLockWriteGuard<'_, Slot> {
        self.slot.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write; also to open and to drop the database.
pub(crate) struct Writer<'c> {
    connection: &'c Connection,
    _alone: MutexGuard<'c, ()>,
}

impl Writer<'_> {
    /// Runs `read` on the present state, which nobody changes while this guard lives.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T> {
        self.run(|database| read(&ReadTransaction::new(database.begin_read()?)))
    }

    /// Runs `write` in a transaction; see [`Connection::write`].
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T> {
        self.run(|database| {
            let transaction = WriteTransaction::new(begin_write(database)?);
            match write(&transaction) {
                Ok(value) => transaction.commit().map(|()| value),
                Err(failure) => {
                    // A second error of the same disk adds nothing to the first.
                    let _ = transaction.abort();
                    Err(failure)
                }
            }
        })
    }

    fn run<T>(&self, work: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T> {
        let path = &self.connection.path;
        let opened = self.reconnect()?;
        let result = {
            let slot = self.connection.slot.read();
            let slot = slot.unwrap_or_else(PoisonError::into_inner);
            match &slot.database {
                Some(database) => work(database),
                None => Err(Failure::Redb(redb::Error::DatabaseClosed)),
            }
        };
        result.map_err(|failure| {
            if failure.breaks_connection() {
                self.disconnect(opened);
            }
            failure.at(path)
        })
    }

    /// Opens the database if it was dropped; returns which opening the present one is.
    fn reconnect(&self) -> Result<u64> {
        let connection = self.connection;
        let mut slot = connection.write_slot();
        if slot.database.is_none() {
            let (database, staged) = open_staged(&connection.path, &connection.open_backend)?;
            staged
                .release()
                .map_err(|error| Error::io(&connection.path, error))?;
            tracing::info!(path = %connection.path.display(), "opened the store again");
            slot.database = Some(database);
            slot.opened += 1;
        }
        Ok(slot.opened)
    }

    /// Drops the database of the given opening.
    fn disconnect(&self, opened: u64) {
        let mut slot = self.connection.write_slot();
        if slot.opened == opened && slot.database.take().is_some() {
            tracing::warn!(path = %self.connection.path.display(), "closed the store after an error");
        }
    }
}

/// Begins a transaction that is on the disk once it is committed, and that leaves nothing to
/// repair. Without the latter redb would read a whole file after a crash before
/// opening it, seconds for a large one; the price is a second sync in every commit.
fn begin_write(database: &Database) -> Result<redb::WriteTransaction, Failure> {
    let mut transaction = database.begin_write()?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(|error| Failure::Redb(error.into()))?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Opens a file, holding back what redb writes to it meanwhile.
fn open_staged(path: &Path, open_backend: &OpenBackend) -> Result<(Database, StagedFile)> {
    let file = open_backend().map_err(|error| Error::io(path, error))?;
    let (backend, staged) = staged_backend::stage(file).map_err(|error| Error::io(path, error))?;
    let database = guarded(path, || {
        Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend)
            .map_err(|error| Error::redb(path, error.into()))
    })?;
    Ok((database, staged))
}

/// Runs the part of opening that meets a file nobody has looked at yet. redb states that a file
/// altered behind its back may make it panic here; that is a damaged file like any other.
fn guarded<T>(path: &Path, open: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(open))
        .unwrap_or_else(|panic| Err(Error::damaged(path, panic_message(&*panic))))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the database could not be read").to_owned()
}
