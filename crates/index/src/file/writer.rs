//! Writes an index file beside its place, reads it back, and only then puts it there.
//!
//! Until the rename the old file is untouched; what was begun is removed when anything fails.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};
use xxhash_rust::xxh3::Xxh3;

use super::Contents;
use super::format::Header;
use super::reader;
use crate::{Error, Result};

/// Numbers that are turned into bytes at once.
const CHUNK: usize = 8 * 1024;

/// Puts a file with `contents` at `path`, in one step or not at all.
pub(crate) fn save(path: &Path, contents: &Contents<'_>) -> Result<()> {
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let folder = folder_of(path);
    let file = write_beside(folder, contents).map_err(failed)?;
    verify(&file, path)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    synchronise(folder).map_err(failed)
}

/// Writes `contents` to a new file in `folder`, down to the disk.
fn write_beside(folder: &Path, contents: &Contents<'_>) -> io::Result<NamedTempFile> {
    let mut file = Builder::new()
        .prefix(".longtrainer-index-")
        .tempfile_in(folder)?;
    write(&mut file, contents)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn verify(file: &NamedTempFile, path: &Path) -> Result<()> {
    reader::verify(file.path()).map_err(|source| Error::Unverified {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// Writes the bytes of an index file.
pub(super) fn write(out: &mut impl Write, contents: &Contents<'_>) -> io::Result<()> {
    let header = header(contents);
    let layout = header.layout().ok_or(io::ErrorKind::FileTooLarge)?;
    let mut out = BufWriter::new(out);
    out.write_all(&header.encode())?;
    in_bytes(&contents.ids, u64::to_le_bytes, |bytes| {
        out.write_all(bytes)
    })?;
    io::copy(&mut io::Read::take(io::repeat(0), layout.padding), &mut out)?;
    in_bytes(&contents.vectors, f32::to_le_bytes, |bytes| {
        out.write_all(bytes)
    })?;
    out.flush()
}

fn header(contents: &Contents<'_>) -> Header {
    Header {
        metric: contents.metric,
        dimension: contents.dimension as u32,
        count: contents.ids.len() as u64,
        revision: contents.revision,
        ids_checksum: checksum(&contents.ids, u64::to_le_bytes),
        vectors_checksum: checksum(&contents.vectors, f32::to_le_bytes),
    }
}

fn checksum<T: Copy, const N: usize>(values: &[T], to_bytes: fn(T) -> [u8; N]) -> u64 {
    let mut hash = Xxh3::new();
    let hashed: Result<(), std::convert::Infallible> = in_bytes(values, to_bytes, |bytes| {
        hash.update(bytes);
        Ok(())
    });
    let Ok(()) = hashed;
    hash.digest()
}

/// Hands the bytes of `values` to `sink`, some thousand values at a time.
fn in_bytes<T: Copy, const N: usize, E>(
    values: &[T],
    to_bytes: impl Fn(T) -> [u8; N],
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut bytes = Vec::with_capacity(CHUNK * N);
    for chunk in values.chunks(CHUNK) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|&value| to_bytes(value)));
        sink(&bytes)?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the rename itself durable. Only Unix lets a folder be opened for this.
fn synchronise(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}
