//! What a vision model is put together from: a vision half, a text model, and perhaps an adapter.

use std::path::{Path, PathBuf};

use longtrainer_models::{Registry, Role};

use crate::error::{Error, Result};

/// The parts of a vision model that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisionParts {
    /// The vision half: a folder as published on the hub, or an `mmproj` GGUF file.
    pub vision: PathBuf,
    /// The text model: a registry name, a folder or a GGUF file.
    pub text: String,
    /// The adapter that the text model needs for pictures.
    pub adapter: Option<PathBuf>,
}

impl VisionParts {
    /// The parts of a model by its name in the registry, or of a folder that holds both halves.
    ///
    /// # Errors
    ///
    /// [`Error::ModelRole`] for a model of another role, and those of [`Registry::locate`].
    pub fn locate(registry: &Registry, name: &str) -> Result<Self> {
        let given = Path::new(name);
        if given.is_dir() {
            return Ok(Self {
                vision: given.to_owned(),
                text: name.to_owned(),
                adapter: None,
            });
        }
        let role = registry.entry(name)?.role;
        if role != Role::Vision {
            return Err(Error::ModelRole {
                name: name.to_owned(),
                role,
                asked: Role::Vision,
            });
        }
        let local = registry.locate(name)?;
        let is_file = local.entry.weights.ends_with(".gguf");
        let folder = local.folder.display().to_string();
        Ok(Self {
            vision: match is_file {
                true => local.main_file(),
                false => local.folder.clone(),
            },
            text: local.entry.text.clone().unwrap_or(folder),
            adapter: local.entry.adapter.as_deref().map(|file| local.path(file)),
        })
    }
}
