//! A file mapped into memory: the one place in this crate that needs `unsafe`.
//!
//! Weights are repacked from the mapping, which so costs no copy and, with [`FileMap::release`], no
//! memory beyond the tensor at hand. A file that another program shortens while a model is loaded
//! from it ends the process (the system's SIGBUS), as it would any program that maps files; after
//! loading, the file may change or go.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::Mmap;

/// A file's bytes.
#[derive(Debug)]
pub(super) struct FileMap(Mmap);

impl FileMap {
    /// Maps a file for reading.
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private and read-only, and nothing here takes its bytes for more
        // than bytes; that the file is not shortened meanwhile is the condition stated above.
        unsafe { Mmap::map(file) }.map(Self)
    }

    /// Some of the bytes; `None` if the file is not so long.
    pub(super) fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        self.0.get(range)
    }

    /// Lets the system take the pages of these bytes back. They can still be read, from the file.
    pub(super) fn release(&self, range: Range<u64>) {
        #[cfg(unix)]
        if let Some(bytes) = self.bytes(range) {
            let offset = bytes.as_ptr() as usize - self.0.as_ptr() as usize;
            // SAFETY: a mapping of a file, never written: dropped pages come back with the same bytes.
            let advised = unsafe {
                let advice = memmap2::UncheckedAdvice::DontNeed;
                self.0.unchecked_advise_range(advice, offset, bytes.len())
            };
            // Memory that is given back late is no failure.
            if let Err(error) = advised {
                tracing::debug!(%error, "mapped pages were not released");
            }
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}
