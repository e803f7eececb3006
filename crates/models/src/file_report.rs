//! What was found where a file of a model should be.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::digest::sha256_of_file;
use crate::entry::{FileEntry, ModelEntry};
use crate::error::{Error, Result};
use crate::first_seen::FirstSeen;
use crate::local_model::join;
use crate::stamps::Stamps;

/// What was found where a file should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// The file is there, with the size and hash that the list of models gives.
    Whole,
    /// The list of models gives no hash, and the file is what it was when it was first seen.
    Unchanged,
    /// The list of models gives no hash, and the file has not been seen before; its SHA-256 is this.
    FirstSeen {
        /// The hash it has.
        sha256: String,
    },
    /// There is no such file.
    Missing,
    /// The file has another size, in bytes.
    WrongSize {
        /// The size it should have.
        expected: u64,
        /// The size it has.
        actual: u64,
    },
    /// The file has the right size and other contents; both are SHA-256 in hexadecimal.
    WrongHash {
        /// The hash it should have.
        expected: String,
        /// The hash it has.
        actual: String,
    },
    /// The file is not what it was when it was first seen; both are SHA-256 in hexadecimal.
    Changed {
        /// The hash it had.
        before: String,
        /// The hash it has.
        actual: String,
        /// The file that says what it was.
        noted_in: PathBuf,
    },
    /// The file was fetched from a revision that the list of models no longer names.
    OtherRevision {
        /// Repository and revision that it was fetched from.
        fetched_from: String,
        /// The file that says so.
        noted_in: PathBuf,
    },
}

/// One file of a model as found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// Its path as in [`ModelEntry::files`](crate::ModelEntry::files).
    pub file: String,
    /// Where it was looked at.
    pub path: PathBuf,
    /// What was found.
    pub state: FileState,
}

impl FileReport {
    /// Looks at one file; `stamps` holds the files hashed before, and learns of this one.
    pub(crate) fn of(
        file: &FileEntry,
        entry: &ModelEntry,
        folder: &Path,
        stamps: &mut Stamps,
        first_seen: &FirstSeen,
    ) -> Result<Self> {
        let path = join(folder, &file.path);
        let state = state_of(file, entry, &path, stamps, first_seen)?;
        Ok(Self {
            file: file.path.clone(),
            path,
            state,
        })
    }

    /// Whether the file is there, and nothing speaks against it.
    pub fn is_whole(&self) -> bool {
        match self.state {
            FileState::Whole | FileState::Unchanged | FileState::FirstSeen { .. } => true,
            FileState::Missing
            | FileState::WrongSize { .. }
            | FileState::WrongHash { .. }
            | FileState::Changed { .. }
            | FileState::OtherRevision { .. } => false,
        }
    }

    /// Whether the file was compared with anything, and is right.
    pub(crate) fn is_checked(&self) -> bool {
        matches!(self.state, FileState::Whole | FileState::Unchanged)
    }

    /// The error that a damaged file is; `None` if it is whole or missing.
    pub(crate) fn damage(&self) -> Option<Error> {
        let path = self.path.clone();
        Some(match self.state.clone() {
            FileState::WrongSize { expected, actual } => Error::WrongSize {
                path,
                expected,
                actual,
            },
            FileState::WrongHash { expected, actual } => Error::WrongHash {
                path,
                expected,
                actual,
            },
            FileState::Changed {
                before,
                actual,
                noted_in,
            } => Error::Changed {
                path,
                before,
                actual,
                noted_in,
            },
            FileState::OtherRevision {
                fetched_from,
                noted_in,
            } => Error::OtherRevision {
                path,
                fetched_from,
                noted_in,
            },
            _ => return None,
        })
    }
}

fn state_of(
    file: &FileEntry,
    entry: &ModelEntry,
    path: &Path,
    stamps: &mut Stamps,
    first_seen: &FirstSeen,
) -> Result<FileState> {
    let Some(found) = look_at(path)? else {
        return Ok(FileState::Missing);
    };
    if let Some(wrong) = wrong_size(file.size, &found) {
        return Ok(wrong);
    }
    let actual = hash(path, &found, stamps)?;
    Ok(match &file.sha256 {
        Some(expected) if *expected == actual => FileState::Whole,
        Some(expected) => FileState::WrongHash {
            expected: expected.clone(),
            actual,
        },
        None => against_note(entry, path, actual, first_seen),
    })
}

/// The state of a file that can only be compared with what it was.
fn against_note(
    entry: &ModelEntry,
    path: &Path,
    actual: String,
    first_seen: &FirstSeen,
) -> FileState {
    let Some(note) = first_seen.of(path) else {
        return FileState::FirstSeen { sha256: actual };
    };
    let noted_in = first_seen.path().to_owned();
    match &note.fetched_from {
        Some(pin) if !entry.has_pin(pin) => FileState::OtherRevision {
            fetched_from: pin.clone(),
            noted_in,
        },
        _ if note.sha256 == actual => FileState::Unchanged,
        _ => FileState::Changed {
            before: note.sha256.clone(),
            actual,
            noted_in,
        },
    }
}

/// What the system says of a file; `None` if there is none.
fn look_at(path: &Path) -> Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(found)),
        Ok(_) => Ok(None),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}

fn wrong_size(expected: Option<u64>, found: &Metadata) -> Option<FileState> {
    let (expected, actual) = (expected?, found.len());
    (expected != actual).then_some(FileState::WrongSize { expected, actual })
}

/// The hash of a file, computed or known from before.
fn hash(path: &Path, found: &Metadata, stamps: &mut Stamps) -> Result<String> {
    // Taken before the hash: a file changed while it is hashed keeps no valid stamp.
    let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    if let Some(known) = stamps.hash_of(path, found.len(), modified) {
        return Ok(known);
    }
    let hash = sha256_of_file(path)?;
    stamps.record(path, found.len(), modified, &hash);
    Ok(hash)
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

/// Every file of a model, each hashed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Name of the model.
    pub model: String,
    /// Its files, in the order of the manifest.
    pub files: Vec<FileReport>,
}

impl VerifyReport {
    /// Whether every file is there, and nothing speaks against any.
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(FileReport::is_whole)
    }
}
