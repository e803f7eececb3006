//! The models in memory: which there are, loading one ahead of its use, and unloading one by name.

use jiff::Timestamp;
use longtrainer_models::Role;

use crate::error::Result;
use crate::trainer::LongTrainer;

/// A model in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedModel {
    /// Registry name or path.
    pub name: String,
    /// What it is used for.
    pub role: Role,
    /// Memory that it is counted as.
    pub memory_bytes: u64,
    /// Whether anybody uses it just now. Then it cannot be unloaded.
    pub in_use: bool,
    /// When it was last taken or given back.
    pub last_used: Timestamp,
    /// Whether it stays whatever happens, because the program was given it as it is.
    pub pinned: bool,
}

impl LongTrainer {
    /// Loads a model, so that whoever needs it does not wait. It then stays as long as any model
    /// that is not used: see [`Builder::keep_alive`](crate::Builder::keep_alive) and
    /// [`Builder::memory_budget`](crate::Builder::memory_budget).
    ///
    /// # Errors
    ///
    /// [`Error::OwnerOnly`](crate::Error::OwnerOnly) in the view of a tenant, since all share the memory,
    /// [`Error::OutOfModelMemory`](crate::Error::OutOfModelMemory) if there is no room for it,
    /// [`Error::ModelRole`](crate::Error::ModelRole) and
    /// [`Error::ModelDoesNotSee`](crate::Error::ModelDoesNotSee) if it cannot be used so, and those
    /// of finding and reading its files.
    pub fn load_model(&self, name: &str, role: Role) -> Result<()> {
        self.owner_only("loading a model")?;
        self.inner.models.load(name, role)
    }

    /// Unloads a model and waits until its memory is free; whether it was loaded.
    ///
    /// # Errors
    ///
    /// [`Error::OwnerOnly`](crate::Error::OwnerOnly) in the view of a tenant,
    /// [`Error::ModelInUse`](crate::Error::ModelInUse) if somebody uses or loads it,
    /// [`Error::ModelPinned`](crate::Error::ModelPinned) for one that the builder was given, and
    /// that of the registry for a name that means no model at all.
    pub fn unload_model(&self, name: &str) -> Result<bool> {
        self.owner_only("unloading a model")?;
        self.inner.models.unload(name)
    }

    /// The models in memory, the last used first.
    pub fn loaded_models(&self) -> Vec<LoadedModel> {
        self.inner.models.loaded()
    }
}
