//! What can go wrong with the settings file.

use std::io;
use std::path::{Path, PathBuf};

use longtrainer::ErrorKind;

/// What can go wrong with the settings file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file exists and was not to be overwritten.
    #[error("{} exists already; --force overwrites it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file that was named does not exist.
    #[error("there is no settings file {}; `longtrainer init` writes one", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file has an unknown key, a value of the wrong type, or is not TOML.
    #[error("the settings file {} is malformed", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The key and the line.
        source: Box<toml::de::Error>,
    },
    /// A setting cannot be written as TOML.
    #[error("the settings cannot be written as TOML")]
    Unwritable {
        /// Which, and why.
        source: toml::ser::Error,
    },
    /// The file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl ConfigError {
    /// Which kind of error it is, as the library calls them.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Exists { .. } => ErrorKind::Conflict,
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Malformed { .. } | Self::Unwritable { .. } => ErrorKind::InvalidInput,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
                ErrorKind::InvalidInput
            }
            Self::Io { .. } => ErrorKind::Internal,
        }
    }

    /// Wraps an error of the file system about `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
