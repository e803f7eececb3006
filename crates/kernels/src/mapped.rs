//! A file mapped into memory: its bytes without a copy, read from the disk when they are touched.
//!
//! A file that is shortened while it is mapped, or whose disk fails, ends the process when the missing
//! bytes are touched (the system's SIGBUS), as it would any program that maps files; a file that is
//! written in place changes under its readers. So only files that are replaced as a whole, by a
//! rename, or that nobody writes, should be mapped. A mapped file may be renamed or removed: its
//! bytes stay until the mapping is dropped.

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::Mmap;

/// The bytes of a file.
#[derive(Debug)]
pub struct MappedFile(Mmap);

impl MappedFile {
    /// Maps all of a file, as long as it is now, for reading. The file may be closed afterwards.
    ///
    /// # Errors
    ///
    /// What the operating system says, for instance if the file is a folder or a pipe.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is read-only, and nothing here takes its bytes for more than bytes;
        // that the file is not shortened or written meanwhile is the condition stated above.
        unsafe { Mmap::map(file) }.map(Self)
    }

    /// Length of the file in bytes when it was mapped.
    pub fn length(&self) -> u64 {
        self.0.len() as u64
    }

    /// All bytes. They start on a page, so that an offset in the file that is a multiple of 64 is one
    /// in memory.
    pub fn all(&self) -> &[u8] {
        &self.0
    }

    /// Some of the bytes; `None` if the file is not so long.
    pub fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        self.0.get(in_memory(range)?)
    }

    /// Tells the system that these bytes will be touched soon, so that it begins to read those that it
    /// does not hold, all at once and not one after another. Does nothing where the system knows no
    /// such advice.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the file is not so long, or what the operating system
    /// says. Bytes that were not read ahead are read when they are touched: a caller may well go on.
    pub fn prefetch(&self, range: Range<u64>) -> io::Result<()> {
        let bytes = self.in_file(range)?;
        self.advise_needed(bytes)
    }

    /// Lets the system take the pages of these bytes back. They can still be read, from the file.
    /// Does nothing where the system knows no such advice.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the file is not so long, or what the operating system
    /// says. Memory that is given back late is no failure: a caller may well go on.
    pub fn release(&self, range: Range<u64>) -> io::Result<()> {
        let bytes = self.in_file(range)?;
        self.advise_unneeded(bytes)
    }

    fn in_file(&self, range: Range<u64>) -> io::Result<Range<usize>> {
        let bytes = in_memory(range).filter(|bytes| self.0.get(bytes.clone()).is_some());
        bytes.ok_or(io::ErrorKind::InvalidInput.into())
    }

    #[cfg(unix)]
    fn advise_needed(&self, bytes: Range<usize>) -> io::Result<()> {
        self.0
            .advise_range(memmap2::Advice::WillNeed, bytes.start, bytes.len())
    }

    #[cfg(unix)]
    fn advise_unneeded(&self, bytes: Range<usize>) -> io::Result<()> {
        // SAFETY: a mapping of a file, never written: dropped pages come back with the same bytes.
        unsafe {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            self.0
                .unchecked_advise_range(advice, bytes.start, bytes.len())
        }
    }

    #[cfg(not(unix))]
    fn advise_needed(&self, _: Range<usize>) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(unix))]
    fn advise_unneeded(&self, _: Range<usize>) -> io::Result<()> {
        Ok(())
    }
}

fn in_memory(range: Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn mapped(bytes: &[u8]) -> MappedFile {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        MappedFile::new(&file).unwrap()
    }

    #[test]
    fn the_bytes_are_those_of_the_file() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        let map = mapped(&bytes);
        assert_eq!(map.length(), 100_000);
        assert_eq!(map.all(), bytes);
        assert_eq!(map.bytes(4_097..99_999), Some(&bytes[4_097..99_999]));
        assert_eq!(map.all().as_ptr().align_offset(64), 0);
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        let map = mapped(b"");
        assert_eq!((map.length(), map.all()), (0, &[][..]));
        assert_eq!(map.bytes(0..0), Some(&[][..]));
        assert_eq!(map.bytes(0..1), None);
    }

    #[test]
    fn bytes_outside_the_file_are_not_given() {
        let map = mapped(b"0123456789");
        let backwards = Range { start: 4, end: 3 };
        for range in [0..11, 10..11, 11..11, backwards, 0..u64::MAX] {
            assert_eq!(map.bytes(range.clone()), None, "{range:?}");
            for result in [map.release(range.clone()), map.prefetch(range)] {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            }
        }
    }

    #[test]
    fn released_and_prefetched_bytes_can_be_read_again() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 241) as u8).collect();
        let map = mapped(&bytes);
        assert_eq!(map.all(), bytes);
        for range in [0..100_000, 5..6, 4_000..50_000, 100_000..100_000] {
            map.release(range.clone()).unwrap();
            map.prefetch(range).unwrap();
            assert_eq!(map.all(), bytes);
        }
    }

    #[test]
    fn a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        // Where the system opens a folder at all, it does not map one.
        if let Ok(file) = File::open(folder.path()) {
            MappedFile::new(&file).unwrap_err();
        }
    }
}
