//! Hashes already computed, so that a warm start does not read every weight again.
//!
//! Each is kept with the size and the modification time that its file had; a file with another size
//! or time is hashed anew. The stamps are a convenience in a file beside the models: if it is
//! damaged or cannot be written (a read-only share), hashing is slower and nothing else changes.
//! `Registry::verify` ignores them, and so finds what a failing disk changed behind the clock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::side_file;

/// Hashes already computed for one model.
pub(crate) struct Stamps {
    file: PathBuf,
    known: BTreeMap<String, Stamp>,
    changed: bool,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Stamp {
    /// Bytes.
    size: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    sha256: String,
}

impl Stamps {
    /// Reads the stamps kept in `file`; none if there are none that can be read.
    pub(crate) fn load(file: PathBuf) -> Self {
        let known = std::fs::read_to_string(&file)
            .ok()
            .and_then(|text| toml::from_str(&text).ok())
            .unwrap_or_default();
        Self {
            file,
            known,
            changed: false,
        }
    }

    /// No stamps yet; those recorded replace the ones kept in `file`.
    pub(crate) fn fresh(file: PathBuf) -> Self {
        Self {
            file,
            known: BTreeMap::new(),
            changed: true,
        }
    }

    /// The hash recorded for a file, if its size and time are still the same.
    pub(crate) fn hash_of(&self, path: &Path, size: u64, modified: SystemTime) -> Option<String> {
        let stamp = self.known.get(&self.key(path))?;
        let same = stamp.size == size && Some(stamp.modified) == nanoseconds(modified);
        same.then(|| stamp.sha256.clone())
    }

    /// Records a hash that was just computed.
    pub(crate) fn record(&mut self, path: &Path, size: u64, modified: SystemTime, sha256: &str) {
        if let Some(modified) = nanoseconds(modified) {
            let stamp = Stamp {
                size,
                modified,
                sha256: sha256.to_owned(),
            };
            self.known.insert(self.key(path), stamp);
            self.changed = true;
        }
    }

    /// Writes the stamps if they changed; a folder that cannot be written is no error.
    pub(crate) fn save(&self) {
        if self.changed
            && let Err(error) = self.write()
        {
            tracing::debug!(file = %self.file.display(), %error, "the stamps were not kept");
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let text = toml::to_string(&self.known).map_err(std::io::Error::other)?;
        side_file::replace(&self.file, &text)
    }

    fn key(&self, path: &Path) -> String {
        side_file::key(&self.file, path)
    }
}

fn nanoseconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}
