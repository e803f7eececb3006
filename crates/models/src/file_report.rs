//! What was found where a file of a model should be.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::digest::sha256_of_file;
use crate::entry::FileEntry;
use crate::error::{Error, Result};
use crate::local_model::join;
use crate::stamps::Stamps;

/// What was found where a file should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// The file is there, with the right size and hash.
    Whole,
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
    pub(crate) fn of(file: &FileEntry, folder: &Path, stamps: &mut Stamps) -> Result<Self> {
        let path = join(folder, &file.path);
        let state = state_of(file, &path, stamps)?;
        Ok(Self {
            file: file.path.clone(),
            path,
            state,
        })
    }

    /// Whether the file is there and right.
    pub fn is_whole(&self) -> bool {
        self.state == FileState::Whole
    }

    /// The error that a damaged file is; `None` if it is whole or missing.
    pub(crate) fn damage(&self) -> Option<Error> {
        let path = self.path.clone();
        match &self.state {
            FileState::Whole | FileState::Missing => None,
            FileState::WrongSize { expected, actual } => Some(Error::WrongSize {
                path,
                expected: *expected,
                actual: *actual,
            }),
            FileState::WrongHash { expected, actual } => Some(Error::WrongHash {
                path,
                expected: expected.clone(),
                actual: actual.clone(),
            }),
        }
    }
}

fn state_of(file: &FileEntry, path: &Path, stamps: &mut Stamps) -> Result<FileState> {
    let found = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => found,
        Ok(_) => return Ok(FileState::Missing),
        Err(error) if is_absence(&error) => return Ok(FileState::Missing),
        Err(error) => return Err(Error::io("look at", path)(error)),
    };
    if found.len() != file.size {
        return Ok(FileState::WrongSize {
            expected: file.size,
            actual: found.len(),
        });
    }
    // Taken before the hash: a file changed while it is hashed keeps no valid stamp.
    let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let actual = match stamps.hash_of(path, found.len(), modified) {
        Some(known) => known,
        None => {
            let hash = sha256_of_file(path)?;
            stamps.record(path, found.len(), modified, &hash);
            hash
        }
    };
    if actual == file.sha256 {
        Ok(FileState::Whole)
    } else {
        Ok(FileState::WrongHash {
            expected: file.sha256.clone(),
            actual,
        })
    }
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
    /// Whether every file is there and right.
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(FileReport::is_whole)
    }
}
