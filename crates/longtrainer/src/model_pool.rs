//! The models in memory, each loaded once, when first needed, and shared by every bot that uses it.
//!
//! A model is named as in the registry or by its path. The pool never fetches: a missing model is
//! an error that says where it was looked for, so that nothing is downloaded behind anyone's back.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longtrainer_inference::{
    BertEmbedder, DeviceChoice, Embedder, EmbedderOptions, GgufTextModel, SelectedDevice,
    TextModel, TextModelOptions, select_device,
};
use longtrainer_models::{Registry, Role};

use crate::error::{Error, Result};

/// Finds and loads models.
pub(crate) struct ModelPool {
    registry: Registry,
    device_choice: DeviceChoice,
    device: Mutex<Option<SelectedDevice>>,
    embedders: Mutex<HashMap<String, Arc<dyn Embedder>>>,
    text_models: Mutex<HashMap<String, Arc<dyn TextModel>>>,
}

impl ModelPool {
    pub(crate) fn new(registry: Registry, device_choice: DeviceChoice) -> Self {
        Self {
            registry,
            device_choice,
            device: Mutex::default(),
            embedders: Mutex::default(),
            text_models: Mutex::default(),
        }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Puts a ready embedder in the pool under its own name.
    pub(crate) fn add_embedder(&self, embedder: Arc<dyn Embedder>) {
        lock(&self.embedders).insert(embedder.info().model.clone(), embedder);
    }

    /// Puts a ready text model in the pool under its own name.
    pub(crate) fn add_text_model(&self, model: Arc<dyn TextModel>) {
        lock(&self.text_models).insert(model.info().model.clone(), model);
    }

    pub(crate) fn embedder(&self, name: &str) -> Result<Arc<dyn Embedder>> {
        load_once(&self.embedders, name, || {
            let (folder, sha256) = self.embedder_files(name)?;
            let options = EmbedderOptions {
                device: self.device()?,
                ..Default::default()
            };
            let embedder = BertEmbedder::load(name, &folder, &sha256, &options)?;
            Ok(Arc::new(embedder))
        })
    }

    pub(crate) fn text_model(&self, name: &str) -> Result<Arc<dyn TextModel>> {
        load_once(&self.text_models, name, || {
            let path = self.text_model_file(name)?;
            let options = TextModelOptions {
                device: self.device()?,
                ..Default::default()
            };
            Ok(Arc::new(GgufTextModel::load(name, &path, &options)?))
        })
    }

    fn embedder_files(&self, name: &str) -> Result<(PathBuf, String)> {
        let given = Path::new(name);
        if given.is_dir() {
            let sha256 = longtrainer_models::sha256_of_file(&given.join("model.safetensors"))?;
            return Ok((given.to_owned(), sha256));
        }
        let local = self.registry.locate(name)?;
        Ok((local.folder.clone(), local.weights_sha256().to_owned()))
    }

    fn text_model_file(&self, name: &str) -> Result<PathBuf> {
        let given = Path::new(name);
        if given.is_file() {
            return Ok(given.to_owned());
        }
        Ok(self.registry.locate(name)?.main_file())
    }

    fn device(&self) -> Result<SelectedDevice> {
        let mut device = lock(&self.device);
        if let Some(device) = &*device {
            return Ok(device.clone());
        }
        Ok(device.insert(select_device(self.device_choice)?).clone())
    }

    /// Name of the registry's default model for a role.
    pub(crate) fn default_name(&self, role: Role) -> Result<String> {
        let entry = self
            .registry
            .default_for(role)
            .ok_or(Error::NoDefaultModel { role })?;
        Ok(entry.name.clone())
    }
}

/// The lock is held while a model loads, so that two callers never load it twice.
fn load_once<T: ?Sized>(
    pool: &Mutex<HashMap<String, Arc<T>>>,
    name: &str,
    load: impl FnOnce() -> Result<Arc<T>>,
) -> Result<Arc<T>> {
    let mut loaded = lock(pool);
    if let Some(model) = loaded.get(name) {
        return Ok(Arc::clone(model));
    }
    let model = load()?;
    loaded.insert(name.to_owned(), Arc::clone(&model));
    Ok(model)
}

/// A map of finished models is whole whatever a panicking holder was doing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
