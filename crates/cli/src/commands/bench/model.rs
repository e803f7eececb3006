//! Which model is measured, and where it lies.

use std::path::{Path, PathBuf};

use longtrainer::models::{LocalModel, Role};

use crate::error::CliError;
use crate::model_files::pull;
use crate::session::Session;

/// How a model was chosen.
pub(super) enum Chosen {
    /// By the place where it lies.
    Path(PathBuf),
    /// By its name in the registry.
    Named(String),
}

impl Chosen {
    /// As elsewhere, a name that is a path means what is there.
    pub(super) fn of(name: String) -> Self {
        match Path::new(&name).exists() {
            true => Self::Path(name.into()),
            false => Self::Named(name),
        }
    }

    /// What the settings say, or else the registry.
    pub(super) fn or_default(
        setting: Option<String>,
        role: Role,
        session: &Session,
    ) -> anyhow::Result<Self> {
        if let Some(name) = setting {
            return Ok(Self::of(name));
        }
        let registry = session.registry()?;
        match registry.default_for(role) {
            Some(entry) => Ok(Self::Named(entry.name.clone())),
            None => Err(longtrainer::Error::NoDefaultModel { role }.into()),
        }
    }

    /// Name and place; fetches a model of the registry if it is not here.
    pub(super) fn place(
        self,
        session: &Session,
        place: impl Fn(&LocalModel) -> PathBuf,
    ) -> anyhow::Result<(String, PathBuf)> {
        match self {
            Self::Path(path) => {
                let absolute = std::path::absolute(&path)
                    .map_err(CliError::io("find the folder of", &path))?;
                let name = absolute.file_name().unwrap_or(absolute.as_os_str());
                Ok((name.to_string_lossy().into_owned(), path))
            }
            Self::Named(name) => {
                let local = pull(&session.registry()?, &name, session.notes)?;
                Ok((name, place(&local)))
            }
        }
    }
}
