//! Reads an index file and believes none of it: lengths are compared with the file's before
//! memory is taken, and every section with its checksum.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::Contents;
use super::format::{HEADER_LENGTH, Header, Layout, may_be_index};
use crate::{Error, Result, check};

/// Bytes read at once; whole numbers fit.
const BUFFER: usize = 64 * 1024;

/// Reads the file at `path`.
pub(crate) fn open(path: &Path) -> Result<Contents<'static>> {
    let (file, length) = open_regular(path)?;
    read(file, length, path)
}

/// Checks the checksums of the file at `path` without keeping what it holds.
pub(super) fn verify(path: &Path) -> Result<()> {
    let (file, length) = open_regular(path)?;
    let mut reader = Reader { input: file, path };
    let (header, layout) = reader.header(length)?;
    reader.section(layout.ids, header.ids_checksum, "ids", |_| ())?;
    reader.padding(layout.padding)?;
    reader.section(layout.vectors, header.vectors_checksum, "vectors", |_| ())
}

/// Reads an index of `length` bytes from `input`; `path` is for the errors.
pub(super) fn read(input: impl Read, length: u64, path: &Path) -> Result<Contents<'static>> {
    let mut reader = Reader { input, path };
    let (header, layout) = reader.header(length)?;
    let (mut ids, mut vectors) = room_for(&header, &layout)?;
    reader.section(layout.ids, header.ids_checksum, "ids", |bytes| {
        ids.extend(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| u64::from_le_bytes(bytes)),
        );
    })?;
    reader.padding(layout.padding)?;
    reader.section(
        layout.vectors,
        header.vectors_checksum,
        "vectors",
        |bytes| {
            vectors.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&bytes| f32::from_le_bytes(bytes)),
            );
        },
    )?;
    if check::duplicate(&ids).is_some() {
        return Err(reader.damaged("ids"));
    }
    if check::not_finite(&vectors).is_some() {
        return Err(reader.damaged("vectors"));
    }
    Ok(Contents {
        metric: header.metric,
        dimension: header.dimension as usize,
        revision: header.revision,
        ids: Cow::Owned(ids),
        vectors: Cow::Owned(vectors),
    })
}

/// Opens a file and takes its length; a pipe or a device, which might block, is no index.
fn open_regular(path: &Path) -> Result<(File, u64)> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::NotAnIndex {
            path: path.to_owned(),
        });
    }
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((file, length))
}

/// Memory for both sections, whose lengths were compared with the file's.
fn room_for(header: &Header, layout: &Layout) -> Result<(Vec<u64>, Vec<f32>)> {
    let (mut ids, mut vectors) = (Vec::new(), Vec::new());
    let numbers = |bytes: u64, size: usize| usize::try_from(bytes).unwrap_or(usize::MAX) / size;
    ids.try_reserve_exact(numbers(layout.ids, size_of::<u64>()))
        .and_then(|()| vectors.try_reserve_exact(numbers(layout.vectors, size_of::<f32>())))
        .map_err(|source| Error::Memory {
            vectors: usize::try_from(header.count).unwrap_or(usize::MAX),
            dimension: header.dimension as usize,
            source,
        })?;
    Ok((ids, vectors))
}

struct Reader<'a, R> {
    input: R,
    path: &'a Path,
}

impl<R: Read> Reader<'_, R> {
    /// Reads the header and compares the layout with the file's length.
    fn header(&mut self, length: u64) -> Result<(Header, Layout)> {
        let mut bytes = [0; HEADER_LENGTH];
        let present = length.min(HEADER_LENGTH as u64) as usize;
        self.fill(&mut bytes[..present])?;
        if present < HEADER_LENGTH {
            return Err(match may_be_index(&bytes[..present]) {
                true => self.truncated(HEADER_LENGTH as u64, length),
                false => Error::NotAnIndex {
                    path: self.path.to_owned(),
                },
            });
        }
        let header = Header::decode(&bytes, self.path)?;
        let layout = header.layout().ok_or_else(|| self.damaged("header"))?;
        self.check_length(layout.file, length)?;
        Ok((header, layout))
    }

    fn check_length(&self, expected: u64, received: u64) -> Result<()> {
        if received < expected {
            return Err(self.truncated(expected, received));
        }
        if received > expected {
            return Err(Error::TrailingBytes {
                path: self.path.to_owned(),
                expected,
                received,
            });
        }
        Ok(())
    }

    /// Hands a section of `length` bytes to `sink`, then compares its checksum.
    fn section(
        &mut self,
        length: u64,
        checksum: u64,
        part: &'static str,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<()> {
        let mut hash = Xxh3::new();
        let mut buffer = vec![0; length.min(BUFFER as u64) as usize];
        let mut left = length;
        while left > 0 {
            let bytes = &mut buffer[..left.min(BUFFER as u64) as usize];
            self.fill(bytes)?;
            hash.update(bytes);
            sink(bytes);
            left -= bytes.len() as u64;
        }
        match hash.digest() == checksum {
            true => Ok(()),
            false => Err(self.damaged(part)),
        }
    }

    fn padding(&mut self, length: u64) -> Result<()> {
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        match bytes.iter().all(|&byte| byte == 0) {
            true => Ok(()),
            false => Err(self.damaged("padding")),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        let filled: io::Result<()> = self.input.read_exact(bytes);
        filled.map_err(|source| Error::Read {
            path: self.path.to_owned(),
            source,
        })
    }

    fn damaged(&self, part: &'static str) -> Error {
        Error::Damaged {
            path: self.path.to_owned(),
            part,
        }
    }

    fn truncated(&self, expected: u64, received: u64) -> Error {
        Error::Truncated {
            path: self.path.to_owned(),
            expected,
            received,
        }
    }
}
