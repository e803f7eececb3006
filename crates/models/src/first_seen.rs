//! What files were when they were first seen, of which the list of models does not say it.
//!
//! Nothing vouches for such a file but the commit that it was fetched from, or the person who put it
//! there. So its hash is noted when it is fetched, or found beside weights that are the
//! right ones, and from then on it is compared with the note. Other than the stamps, this is no
//! convenience: a note that cannot be read is an error, since to go on would be to take any file.
//!
//! A note knows the commit of a fetched file. When the list of models goes on to another commit, the
//! file is one of an old revision, and fetched anew.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::side_file;

/// The notes on one model's files.
pub(crate) struct FirstSeen {
    file: PathBuf,
    notes: BTreeMap<String, Note>,
}

/// What a file was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) sha256: String,
    /// Repository and commit that it was fetched from; a file that was found has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fetched_from: Option<String>,
}

impl FirstSeen {
    /// Reads the notes kept in `file`; without it there are none.
    pub(crate) fn load(file: PathBuf) -> Result<Self> {
        let notes = match std::fs::read_to_string(&file) {
            Ok(text) => toml::from_str(&text).map_err(|source| Error::FirstSeen {
                path: file.clone(),
                source: Box::new(source),
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(Error::io("read", &file)(error)),
        };
        Ok(Self { file, notes })
    }

    /// Where the notes are kept.
    pub(crate) fn path(&self) -> &Path {
        &self.file
    }

    /// The note on a file.
    pub(crate) fn of(&self, path: &Path) -> Option<&Note> {
        self.notes.get(&side_file::key(&self.file, path))
    }

    /// The hash of a file as it was fetched from there before.
    #[cfg(feature = "hub")]
    pub(crate) fn hash_from(&self, pin: &str, path: &Path) -> Option<&str> {
        let note = self.of(path)?;
        (note.fetched_from.as_deref() == Some(pin)).then_some(&note.sha256)
    }

    /// Notes a file, in the place of an earlier note on it.
    pub(crate) fn note(&mut self, path: &Path, note: Note) {
        self.notes.insert(side_file::key(&self.file, path), note);
    }

    /// Writes the notes.
    pub(crate) fn save(&self) -> Result<()> {
        let text = toml::to_string(&self.notes).map_err(std::io::Error::other);
        text.and_then(|text| side_file::replace(&self.file, &text))
            .map_err(Error::io("write", &self.file))
    }
}
