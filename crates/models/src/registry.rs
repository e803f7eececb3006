//! The registry itself: the models it knows and the folder they live in.
//!
//! A model `m` lives in `<models folder>/m/`. Its files may also lie in the models folder itself, as
//! when a user points at a folder that holds one model, or drops a GGUF file there: they are taken
//! if they are the right ones. Beside the folder of `m` lie `.m.lock`, `.m.verified.toml` and,
//! if the list of models does not say what all its files are, `.m.first-seen.toml`.

mod locate;
mod pull;
mod remove;

use std::path::{Path, PathBuf};

use crate::entry::{ModelEntry, Role};
use crate::error::{Error, Result};
use crate::manifest;
use crate::options::RegistryOptions;
use crate::source::Fetchers;

pub use locate::ModelStatus;

/// The models there are, and where they are on this machine.
#[derive(Debug, Clone)]
pub struct Registry {
    models: Vec<ModelEntry>,
    models_dir: PathBuf,
    offline: bool,
    fetchers: Fetchers,
}

impl Registry {
    /// Opens the registry; the models folder need not exist yet.
    ///
    /// `LONGTRAINER_PYTHON` and `HF_ENDPOINT` are read here: the Python interpreter that fetches
    /// packages and the address of the model hub.
    ///
    /// # Errors
    ///
    /// [`Error::Manifest`] for a malformed list of models, [`Error::NoModelsFolder`] if no folder
    /// was given and the user has no cache folder, [`Error::Io`] if the list cannot be read.
    pub fn open(options: RegistryOptions) -> Result<Self> {
        Ok(Self {
            models: manifest::load(options.manifest.as_deref())?,
            models_dir: models_dir(options.models_dir)?,
            offline: options.offline,
            fetchers: Fetchers::from_env(),
        })
    }

    /// Uses this Python interpreter to fetch packages.
    pub fn with_python(mut self, interpreter: impl Into<PathBuf>) -> Self {
        self.fetchers.python = Some(interpreter.into());
        self
    }

    /// Uses the model hub at this address, such as `https://hub.example.org`.
    pub fn with_hub_endpoint(mut self, address: impl Into<String>) -> Self {
        self.fetchers.hub_endpoint = Some(address.into());
        self
    }

    /// The models there are, built-in ones first.
    pub fn models(&self) -> &[ModelEntry] {
        &self.models
    }

    /// The folder that the models live in.
    pub fn models_dir(&self) -> &Path {
        &self.models_dir
    }

    /// Whether the registry may not use the network.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// The model of that name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`], which lists the known names.
    pub fn entry(&self, name: &str) -> Result<&ModelEntry> {
        self.models
            .iter()
            .find(|model| model.name == name)
            .ok_or_else(|| Error::UnknownModel {
                name: name.to_owned(),
                known: self.models.iter().map(|model| model.name.clone()).collect(),
            })
    }

    /// The model used for a role when none is named.
    pub fn default_for(&self, role: Role) -> Option<&ModelEntry> {
        self.models
            .iter()
            .find(|model| model.role == role && model.default)
    }

    /// The folder that belongs to a model.
    fn own_folder(&self, entry: &ModelEntry) -> PathBuf {
        self.models_dir.join(&entry.name)
    }

    fn lock_file(&self, entry: &ModelEntry) -> PathBuf {
        self.models_dir.join(format!(".{}.lock", entry.name))
    }

    fn stamps_file(&self, entry: &ModelEntry) -> PathBuf {
        self.models_dir
            .join(format!(".{}.verified.toml", entry.name))
    }

    fn first_seen_file(&self, entry: &ModelEntry) -> PathBuf {
        self.models_dir
            .join(format!(".{}.first-seen.toml", entry.name))
    }
}

/// The models folder as an absolute path.
fn models_dir(given: Option<PathBuf>) -> Result<PathBuf> {
    let folder = match given {
        Some(file) if file.is_file() => file.parent().map_or(PathBuf::new(), Path::to_owned),
        Some(folder) => folder,
        None => {
            let cache = dirs::cache_dir().ok_or(Error::NoModelsFolder)?;
            cache.join("longtrainer").join("models")
        }
    };
    let here = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &folder
    };
    std::path::absolute(here).map_err(Error::io("resolve", here))
}
