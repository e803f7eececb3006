//! A model whose files are all on this machine and verified.

use std::path::{Path, PathBuf};

use crate::entry::ModelEntry;

/// A model whose files are all on this machine and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalModel {
    /// What the registry knows of it.
    pub entry: ModelEntry,
    /// The folder that holds all its files, at their paths.
    pub folder: PathBuf,
}

impl LocalModel {
    /// Where one of its files is; `file` is a path as in [`ModelEntry::files`].
    pub fn path(&self, file: &str) -> PathBuf {
        join(&self.folder, file)
    }

    /// Where the weights are.
    pub fn main_file(&self) -> PathBuf {
        self.path(&self.entry.weights)
    }

    /// SHA-256 of the weights, which identifies the model whatever it is called.
    pub fn weights_sha256(&self) -> &str {
        let weights = self.entry.weights_file();
        weights
            .and_then(|file| file.sha256.as_deref())
            .unwrap_or_default()
    }
}

/// Joins a `/`-separated path of the manifest to a folder, with this system's separator.
pub(crate) fn join(folder: &Path, file: &str) -> PathBuf {
    file.split('/')
        .fold(folder.to_owned(), |path, part| path.join(part))
}
