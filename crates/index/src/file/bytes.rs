//! The bytes of an index file: mapped, or in memory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use longtrainer_kernels::MappedFile;

use super::fault::Fault;
use crate::Result;

/// All bytes of a file, starting at an address that suits every element.
#[derive(Debug)]
pub(super) enum Bytes {
    Mapped(MappedFile),
    /// Words, so that they are aligned, of which only the first `length` bytes are the file's.
    Memory {
        words: Vec<u64>,
        length: usize,
    },
}

impl Bytes {
    /// Opens a file; a folder, a pipe or a device, which might block, is no index.
    ///
    /// Only Unix lets a file be replaced while it is mapped, which every save does to the file that
    /// the index was opened from; elsewhere the file is read.
    pub(super) fn open(path: &Path) -> Result<Bytes> {
        let fault = Fault(path);
        let regular = |metadata: io::Result<fs::Metadata>| match metadata {
            Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
            Ok(_) => Err(fault.not_an_index()),
            Err(source) => Err(fault.read(source)),
        };
        regular(fs::metadata(path))?;
        let file = File::open(path).map_err(|source| fault.read(source))?;
        let length = regular(file.metadata())?;
        let bytes = match cfg!(unix) {
            true => MappedFile::new(&file).map(Bytes::Mapped),
            false => Bytes::read(file, length),
        };
        bytes.map_err(|source| fault.read(source))
    }

    /// Reads `length` bytes into memory.
    pub(super) fn read(mut input: impl Read, length: u64) -> io::Result<Bytes> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let count = length.div_ceil(size_of::<u64>());
        let mut words = Vec::new();
        words
            .try_reserve_exact(count)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        words.resize(count, 0);
        input.read_exact(&mut bytemuck::cast_slice_mut(&mut words)[..length])?;
        Ok(Bytes::Memory { words, length })
    }

    /// Has bytes that will be touched soon read ahead, where they are mapped.
    pub(super) fn prefetch(&self, bytes: Range<usize>) {
        if let Bytes::Mapped(file) = self {
            // What is not read ahead is read when it is touched.
            let _ = file.prefetch(bytes.start as u64..bytes.end as u64);
        }
    }

    pub(super) fn all(&self) -> &[u8] {
        match self {
            Bytes::Mapped(file) => file.all(),
            Bytes::Memory { words, length } => &bytemuck::cast_slice(words)[..*length],
        }
    }
}
