//! Puts a file where it belongs: written beside its place, verified, then renamed.
//!
//! So a file under its own name is always whole, whatever was interrupted. The caller holds the
//! model's lock, so the temporary name can be a fixed one, and what a killed process left under it
//! is overwritten by the next.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempPath;

use crate::digest::{CHUNK, to_hex};
use crate::entry::FileEntry;
use crate::error::{Error, Result};

/// Copies `reader` to `destination` if, and only if, it is the file that `expected` describes.
///
/// `on_bytes` learns how many bytes arrive. `origin` names the reader in an error.
pub(crate) fn place(
    reader: &mut dyn Read,
    origin: &Path,
    destination: &Path,
    expected: &FileEntry,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<()> {
    let path = prepare(destination)?;
    let mut file = File::create(&path).map_err(Error::io("create", &path))?;
    // From here on the temporary file goes away with this guard, unless it is renamed.
    let guard = TempPath::try_from_path(&path).map_err(Error::io("create", &path))?;
    copy_verified(reader, origin, &mut file, &path, expected, on_bytes)?;
    file.sync_all().map_err(Error::io("write", &path))?;
    guard
        .persist(destination)
        .map_err(|error| Error::io("rename", &path)(error.error))?;
    sync_folder(destination);
    Ok(())
}

/// Moves a verified file of the same disk to its place.
#[cfg(feature = "hub")]
pub(crate) fn move_into_place(from: &Path, destination: &Path) -> Result<()> {
    prepare(destination)?;
    File::open(from)
        .and_then(|file| file.sync_all())
        .map_err(Error::io("write", from))?;
    std::fs::rename(from, destination).map_err(Error::io("rename", from))?;
    sync_folder(destination);
    Ok(())
}

/// Where a file is written before it is verified: beside its place, on the same disk.
pub(crate) fn temporary_path(destination: &Path) -> PathBuf {
    let name = destination
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    destination.with_file_name(format!(".{name}.part"))
}

fn prepare(destination: &Path) -> Result<PathBuf> {
    if let Some(folder) = destination.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    Ok(temporary_path(destination))
}

fn copy_verified(
    reader: &mut dyn Read,
    origin: &Path,
    writer: &mut dyn Write,
    path: &Path,
    expected: &FileEntry,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = reader.read(&mut chunk).map_err(Error::io("read", origin))?;
        size += read as u64;
        // A stream that is too long is given up at once, not written to the end of the disk.
        if let Some(whole) = expected.size
            && (size > whole || (read == 0 && size < whole))
        {
            return Err(Error::WrongSize {
                path: origin.to_owned(),
                expected: whole,
                actual: size,
            });
        }
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
        writer
            .write_all(&chunk[..read])
            .map_err(Error::io("write", path))?;
        on_bytes(read as u64);
    }
    let actual = to_hex(hash);
    match &expected.sha256 {
        Some(expected) if *expected != actual => Err(Error::WrongHash {
            path: origin.to_owned(),
            expected: expected.clone(),
            actual,
        }),
        _ => Ok(()),
    }
}

/// Makes a rename outlive a power cut, where the system lets a folder be synced.
fn sync_folder(destination: &Path) {
    if let Some(folder) = destination.parent()
        && let Err(error) = File::open(folder).and_then(|folder| folder.sync_all())
    {
        tracing::debug!(folder = %folder.display(), %error, "the folder was not synced");
    }
}

#[cfg(test)]
mod tests;
