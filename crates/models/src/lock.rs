//! One writer a model: a lock file that a second process waits for.
//!
//! The operating system frees the lock when its holder dies, however it dies. The lock file itself
//! stays: to delete it while another process waits on it would let two of them in.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::{Error, Result};

/// Held while a model's folder is changed.
pub(crate) struct ModelLock {
    _file: File,
}

impl ModelLock {
    /// Takes the lock; if another process has it, calls `on_wait` and waits for it.
    pub(crate) fn acquire(path: &Path, on_wait: impl FnOnce()) -> Result<Self> {
        let file = open(path)?;
        if !try_lock(&file, path)? {
            on_wait();
            file.lock().map_err(Error::io("lock", path))?;
        }
        Ok(Self { _file: file })
    }

    /// Takes the lock unless another process has it.
    pub(crate) fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        Ok(try_lock(&file, path)?.then_some(Self { _file: file }))
    }
}

fn open(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(Error::io("open the lock file", path))
}

/// Whether the lock could be taken at once.
fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", path)(source)),
    }
}
