//! The models in memory: found by name, loaded when first needed, shared by every bot that uses
//! them, and gone when their memory or their time is up.
//!
//! A model is named as in the registry or by its path. The pool never fetches: a missing model is
//! an error that says where it was looked for, so that nothing is downloaded behind anyone's back.
//! What stays in memory is decided by the [`residency`], for models of all roles together.

mod keep_alive;
mod key;
mod lease;
mod memory_budget;
mod model;
mod observers;
mod reaper;
mod residency;
mod slot;
mod table;
mod transit;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use longtrainer_inference::{
    Adapter, BertEmbedder, DeviceChoice, Embedder, EmbedderOptions, EngineMetrics, EngineOptions,
    GgufTextModel, SelectedDevice, TextModel, TextModelOptions, VisionModel, VisionModelOptions,
    select_device,
};
use longtrainer_models::{LocalModel, Registry, Role};

use crate::error::{Error, Result};
use crate::loaded_models::LoadedModel;
use crate::vision_parts::VisionParts;

pub use keep_alive::KeepAlive;
use key::ModelKey;
use lease::Lease;
pub use memory_budget::MemoryBudget;
use model::{Model, Text, check_sees};
use observers::Observers;
use residency::{Found, Residency};

/// An embedder that stays loaded while this lives.
pub(crate) type EmbedderLease = Lease<Arc<dyn Embedder>>;
/// A text model that stays loaded while this lives.
pub(crate) type TextModelLease = Lease<Arc<dyn TextModel>>;

/// A vision model that stays loaded while this lives.
pub(crate) type VisionModelLease = Lease<Arc<dyn TextModel>>;

/// Finds and loads models, and keeps them.
pub(crate) struct ModelPool {
    registry: Registry,
    device_choice: DeviceChoice,
    device: Mutex<Option<SelectedDevice>>,
    /// How requests share a text model.
    engine: EngineOptions,
    /// Who is told what the engines do.
    observers: Arc<Observers>,
    budget: MemoryBudget,
    residency: Residency<Model>,
}

/// The files of an embedder.
struct EmbedderFiles {
    folder: PathBuf,
    weights: PathBuf,
    /// What the registry has checked; a folder that it does not know is hashed when it is loaded.
    sha256: Option<String>,
}

impl ModelPool {
    pub(crate) fn new(
        registry: Registry,
        device_choice: DeviceChoice,
        engine: EngineOptions,
        memory_budget: MemoryBudget,
        keep_alive: KeepAlive,
    ) -> Result<Self> {
        let residency = Residency::new(memory_budget, keep_alive);
        let observers = Observers::new(engine.metrics.clone());
        let engine = EngineOptions {
            metrics: Some(Arc::<Observers>::clone(&observers)),
            ..engine
        };
        Ok(Self {
            registry,
            device_choice,
            device: Mutex::default(),
            engine,
            observers,
            budget: memory_budget,
            residency: residency.map_err(|source| Error::KeepAliveThread { source })?,
        })
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn memory_budget(&self) -> MemoryBudget {
        self.budget
    }

    /// Has the figures of all engines told to one more, for as long as it lives.
    pub(crate) fn observe(&self, observer: &Arc<dyn EngineMetrics>) {
        self.observers.add(observer);
    }

    /// Puts a ready embedder in the pool under its own name, for good.
    pub(crate) fn add_embedder(&self, embedder: Arc<dyn Embedder>) {
        let key = ModelKey::new(Role::Embedding, &embedder.info().model);
        self.residency.pin(&key, Model::Embedder(embedder));
    }

    /// Puts a ready text model in the pool under its own name, for good.
    pub(crate) fn add_text_model(&self, model: Arc<dyn TextModel>) {
        let key = ModelKey::new(Role::Text, &model.info().model);
        self.residency.pin(&key, Model::Text(Text::Other(model)));
    }

    /// Puts a ready model that sees in the pool under its own name, for good.
    pub(crate) fn add_vision_model(&self, model: Arc<dyn TextModel>) -> Result<()> {
        check_sees(&*model)?;
        let key = ModelKey::new(Role::Vision, &model.info().model);
        self.residency
            .pin(&key, Model::Vision { model, _text: None });
        Ok(())
    }

    pub(crate) fn embedder(&self, name: &str) -> Result<EmbedderLease> {
        let key = ModelKey::new(Role::Embedding, name);
        let lease = self.residency.acquire(&key, || {
            let files = self.embedder_files(name)?;
            Ok(Found {
                bytes: file_size(&files.weights)?,
                load: || self.load_embedder(name, files),
            })
        })?;
        lease.try_map(Model::into_embedder)
    }

    pub(crate) fn text_model(&self, name: &str) -> Result<TextModelLease> {
        self.text_lease(name)?.try_map(Model::into_text_model)
    }

    fn text_lease(&self, name: &str) -> Result<Lease<Model>> {
        let key = ModelKey::new(Role::Text, name);
        self.residency.acquire(&key, || {
            let file = self.text_model_file(name)?;
            Ok(Found {
                bytes: weight_bytes(&file)?,
                load: move || self.load_text_model(name, &file),
            })
        })
    }

    pub(crate) fn vision_model(&self, name: &str) -> Result<VisionModelLease> {
        let key = ModelKey::new(Role::Vision, name);
        let lease = self.residency.acquire(&key, || {
            let parts = VisionParts::locate(&self.registry, name)?;
            Ok(Found {
                bytes: vision_bytes(&parts)?,
                load: move || self.load_vision_model(name, &parts),
            })
        })?;
        lease.try_map(Model::into_vision_model)
    }

    /// Loads a model ahead of its use.
    pub(crate) fn load(&self, name: &str, role: Role) -> Result<()> {
        match role {
            Role::Embedding => self.embedder(name).map(drop),
            Role::Text => self.text_model(name).map(drop),
            Role::Vision => self.vision_model(name).map(drop),
            role => Err(not_loadable(role)),
        }
    }

    /// Unloads a model, whatever it is used for; whether it was loaded. A name that means nothing is
    /// an error, since whoever misspells one would believe the memory free.
    pub(crate) fn unload(&self, name: &str) -> Result<bool> {
        let mut unloaded = false;
        for role in [Role::Embedding, Role::Text, Role::Vision] {
            unloaded |= self.residency.unload(&ModelKey::new(role, name))?;
        }
        if !unloaded && !Path::new(name).exists() {
            self.registry.entry(name)?;
        }
        Ok(unloaded)
    }

    pub(crate) fn loaded(&self) -> Vec<LoadedModel> {
        self.residency.loaded()
    }

    fn load_embedder(&self, name: &str, files: EmbedderFiles) -> Result<Model> {
        let sha256 = match files.sha256 {
            Some(sha256) => sha256,
            None => longtrainer_models::sha256_of_file(&files.weights)?,
        };
        let options = EmbedderOptions {
            device: self.device()?,
            ..Default::default()
        };
        let embedder = BertEmbedder::load(name, &files.folder, &sha256, &options)?;
        Ok(Model::Embedder(Arc::new(embedder)))
    }

    /// Bytes of the files of a model that could be loaded; `None` for one that is in memory.
    pub(crate) fn file_bytes(&self, name: &str, role: Role) -> Result<Option<u64>> {
        let mut loaded = self.loaded().into_iter();
        if loaded.any(|model| model.role == role && model.name == name) {
            return Ok(None);
        }
        let bytes = match role {
            Role::Embedding => file_size(&self.embedder_files(name)?.weights)?,
            Role::Text => weight_bytes(&self.text_model_file(name)?)?,
            Role::Vision => {
                let parts = VisionParts::locate(&self.registry, name)?;
                vision_bytes(&parts)? + weight_bytes(&self.text_model_file(&parts.text)?)?
            }
            role => return Err(not_loadable(role)),
        };
        Ok(Some(bytes))
    }

    fn load_text_model(&self, name: &str, file: &Path) -> Result<Model> {
        let options = TextModelOptions {
            device: self.device()?,
            engine: self.engine.clone(),
            ..Default::default()
        };
        let model = GgufTextModel::load(name, file, &options)?;
        Ok(Model::Text(Text::Local(Arc::new(model))))
    }

    /// The text model is one of the pool, so that it serves questions without pictures, too; it stays
    /// as long as the vision model does.
    fn load_vision_model(&self, name: &str, parts: &VisionParts) -> Result<Model> {
        let text = self.text_lease(&parts.text)?;
        let text = text.try_map(Model::into_local_text_model)?;
        let adapter = parts.adapter.as_deref();
        let adapter = adapter.map(|path| Adapter::load(name, path)).transpose()?;
        let options = VisionModelOptions {
            device: self.device()?,
            ..Default::default()
        };
        let shared = Arc::clone(text.inner());
        let model = VisionModel::load(name, shared, &parts.vision, adapter, &options)?;
        Ok(Model::Vision {
            model: Arc::new(model),
            _text: Some(text),
        })
    }

    fn embedder_files(&self, name: &str) -> Result<EmbedderFiles> {
        let given = Path::new(name);
        if given.is_dir() {
            return Ok(EmbedderFiles {
                folder: given.to_owned(),
                weights: given.join("model.safetensors"),
                sha256: None,
            });
        }
        let local = self.locate(name, Role::Embedding)?;
        Ok(EmbedderFiles {
            folder: local.folder.clone(),
            weights: local.main_file(),
            sha256: Some(local.weights_sha256().to_owned()),
        })
    }

    fn text_model_file(&self, name: &str) -> Result<PathBuf> {
        let given = Path::new(name);
        if given.exists() {
            return Ok(given.to_owned());
        }
        Ok(self.locate(name, Role::Text)?.main_file())
    }

    /// The files of a model of the registry, which must be for this role.
    fn locate(&self, name: &str, asked: Role) -> Result<LocalModel> {
        let role = self.registry.entry(name)?.role;
        if role != asked {
            return Err(Error::ModelRole {
                name: name.to_owned(),
                role,
                asked,
            });
        }
        Ok(self.registry.locate(name)?)
    }

    fn device(&self) -> Result<SelectedDevice> {
        let mut device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
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

/// No model of this role is kept in memory.
fn not_loadable(role: Role) -> Error {
    Error::InvalidSetting {
        name: "role",
        value: role.to_string(),
        expected: "embedding, text or vision",
    }
}

/// The weights of a vision half: in a folder, all but those of the text half are small.
fn vision_bytes(parts: &VisionParts) -> Result<u64> {
    match parts.vision.is_dir() {
        true => Ok(0),
        false => file_size(&parts.vision),
    }
}

/// The size of a file, or of the weights in a folder.
fn weight_bytes(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        return file_size(path);
    }
    let failed = |source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut bytes = 0;
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|end| end == "safetensors") {
            bytes += file_size(&path)?;
        }
    }
    Ok(bytes)
}

fn file_size(path: &Path) -> Result<u64> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(source) => Err(Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        }),
    }
}
