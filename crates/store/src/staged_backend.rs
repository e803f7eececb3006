//! A storage backend that holds writes back until a file is known to be ours.
//!
//! redb writes to a file while it opens it (a flag that it is in use, and after a crash a repair).
//! A file that turns out to be damaged, foreign or newer than this program must not be touched,
//! so opening happens on a [`StagedBackend`]: what redb writes is kept in memory, in order, and
//! reaches the file only when [`StagedFile::release`] is called. From then on every call goes
//! straight through. The lock on the file is real from the beginning.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use redb::{BackendError, StorageBackend};

/// What redb reads from and writes to.
#[derive(Debug)]
pub(crate) struct StagedBackend(Arc<Shared>);

/// The other end of a [`StagedBackend`].
#[derive(Debug)]
pub(crate) struct StagedFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: Box<dyn StorageBackend>,
    /// `None` once released.
    stage: RwLock<Option<Stage>>,
}

/// What the file would be, had the changes been made.
#[derive(Debug)]
struct Stage {
    len: u64,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    SetLen(u64),
    Sync,
    Write { offset: u64, bytes: Vec<u8> },
}

/// Puts a stage before `file`.
pub(crate) fn stage(file: Box<dyn StorageBackend>) -> io::Result<(StagedBackend, StagedFile)> {
    let stage = Stage {
        len: file.len()?,
        changes: Vec::new(),
    };
    let shared = Arc::new(Shared {
        file,
        stage: RwLock::new(Some(stage)),
    });
    Ok((StagedBackend(Arc::clone(&shared)), StagedFile(shared)))
}

impl StagedFile {
    /// Makes the held changes on the file, in the order redb made them, and lets later ones
    /// through. If one fails, the rest stay held, as if the machine had stopped there.
    pub(crate) fn release(&self) -> io::Result<()> {
        let mut held = self.0.write_lock();
        for change in held.iter().flat_map(|stage| &stage.changes) {
            match change {
                Change::SetLen(len) => self.0.file.set_len(*len)?,
                Change::Sync => self.0.file.sync_data()?,
                Change::Write { offset, bytes } => self.0.file.write(*offset, bytes)?,
            }
        }
        *held = None;
        Ok(())
    }

    /// Reads the file as it is, past anything held; `visit` gets it piece by piece.
    pub(crate) fn read_through(
        &self,
        mut visit: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        const PIECE: usize = 1 << 20;
        let len = self.0.file.len()?;
        let mut buffer = vec![0; PIECE];
        for offset in (0..len).step_by(PIECE) {
            let piece = &mut buffer[..(len - offset).min(PIECE as u64) as usize];
            self.0.file.read(offset, piece)?;
            visit(piece)?;
        }
        Ok(())
    }
}

impl Shared {
    fn read_lock(&self) -> std::sync::RwLockReadGuard<'_, Option<Stage>> {
        self.stage.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lock(&self) -> std::sync::RwLockWriteGuard<'_, Option<Stage>> {
        self.stage.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds `change` back, or makes it by `apply` if nothing is held any more.
    fn hold_or(
        &self,
        change: impl FnOnce() -> Change,
        apply: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        if self.read_lock().is_none() {
            return apply();
        }
        match self.write_lock().as_mut() {
            Some(stage) => {
                stage.hold(change());
                Ok(())
            }
            None => apply(),
        }
    }
}

impl Stage {
    fn hold(&mut self, change: Change) {
        match &change {
            Change::SetLen(len) => self.len = *len,
            Change::Sync => {}
            Change::Write { offset, bytes } => self.len = self.len.max(offset + bytes.len() as u64),
        }
        self.changes.push(change);
    }

    /// Reads what the file would hold.
    fn read(&self, file: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(out.len() as u64);
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.fill(0);
        let there = file.len()?.min(end).saturating_sub(offset) as usize;
        file.read(offset, &mut out[..there])?;
        for change in &self.changes {
            change.show(offset, out);
        }
        Ok(())
    }
}

impl Change {
    /// Lays the change over the bytes `out` that begin at `offset`.
    fn show(&self, offset: u64, out: &mut [u8]) {
        let (from, bytes) = match self {
            Self::Sync => return,
            Self::SetLen(len) => {
                let kept = len.saturating_sub(offset).min(out.len() as u64) as usize;
                out[kept..].fill(0);
                return;
            }
            Self::Write { offset, bytes } => (*offset, bytes),
        };
        let first = from.max(offset);
        let end = (from + bytes.len() as u64).min(offset + out.len() as u64);
        if first < end {
            let source = &bytes[(first - from) as usize..(end - from) as usize];
            out[(first - offset) as usize..(end - offset) as usize].copy_from_slice(source);
        }
    }
}

impl StorageBackend for StagedBackend {
    fn len(&self) -> io::Result<u64> {
        match self.0.read_lock().as_ref() {
            Some(stage) => Ok(stage.len),
            None => self.0.file.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.0.read_lock().as_ref() {
            Some(stage) => stage.read(&*self.0.file, offset, out),
            None => self.0.file.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0
            .hold_or(|| Change::SetLen(len), || self.0.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.hold_or(|| Change::Sync, || self.0.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let held = || Change::Write {
            offset,
            bytes: data.to_vec(),
        };
        self.0.hold_or(held, || self.0.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    fn original() -> Box<InMemoryBackend> {
        let file = InMemoryBackend::new();
        file.set_len(8).unwrap();
        file.write(0, b"original").unwrap();
        Box::new(file)
    }

    fn content(backend: &StagedBackend) -> Vec<u8> {
        let mut out = vec![0; backend.len().unwrap() as usize];
        backend.read(0, &mut out).unwrap();
        out
    }

    fn untouched(file: &StagedFile) -> Vec<u8> {
        let mut all = Vec::new();
        file.read_through(|piece| {
            all.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        all
    }

    #[test]
    fn held_changes_are_seen_by_reads_and_not_by_the_file() {
        let (backend, file) = stage(original()).unwrap();
        backend.write(6, b"XY").unwrap();
        backend.set_len(12).unwrap();
        backend.write(9, b"Z").unwrap();
        backend.sync_data().unwrap();
        assert_eq!(content(&backend), b"originXY\0Z\0\0");
        let mut middle = [0; 3];
        backend.read(7, &mut middle).unwrap();
        assert_eq!(&middle, b"Y\0Z");
        assert_eq!(untouched(&file), b"original");
        assert!(backend.read(10, &mut [0; 3]).is_err());
    }

    #[test]
    fn a_file_cut_and_grown_again_reads_zeros() {
        let (backend, file) = stage(original()).unwrap();
        backend.set_len(2).unwrap();
        backend.set_len(5).unwrap();
        assert_eq!(content(&backend), b"or\0\0\0");
        file.release().unwrap();
        assert_eq!(content(&backend), b"or\0\0\0");
    }

    #[test]
    fn release_makes_the_changes_and_lets_later_ones_through() {
        let (backend, file) = stage(original()).unwrap();
        backend.write(0, b"O").unwrap();
        file.release().unwrap();
        assert_eq!(untouched(&file), b"Original");
        backend.write(1, b"R").unwrap();
        assert_eq!(untouched(&file), b"ORiginal");
    }
}
