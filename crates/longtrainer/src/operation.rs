//! What whoever runs a program over a [`LongTrainer`] watches: how much there is, what the engines
//! do, and whether the default models are at hand.

use std::sync::Arc;

use longtrainer_inference::EngineMetrics;
use longtrainer_models::Role;
use longtrainer_store::StoreFigures;

use crate::error::{Error, Result};
use crate::model_pool::MemoryBudget;
use crate::trainer::LongTrainer;

/// A model that bots use unless they are told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DefaultModel {
    /// What it is used for.
    pub role: Role,
    /// Registry name or path.
    pub name: String,
    /// Whether somebody named it, or it is the registry's default.
    pub chosen: bool,
}

impl LongTrainer {
    /// How much the store holds, whoever it belongs to. An error says that the store cannot be
    /// read. It is quick, however full the store is. In the view of a tenant it is refused.
    pub fn store_figures(&self) -> Result<StoreFigures> {
        Ok(self.inner.store.figures()?)
    }

    /// How much memory all models may take together.
    pub fn memory_budget(&self) -> MemoryBudget {
        self.inner.models.memory_budget()
    }

    /// Has the figures of the engines told to one more, for as long as `observer` lives: those of
    /// models loaded by name, whether before this or after. See
    /// [`Builder::engine`](crate::Builder::engine) for one who is told from the start.
    pub fn observe_engines(&self, observer: &Arc<dyn EngineMetrics>) {
        self.inner.models.observe(observer);
    }

    /// The models that bots use unless they are told otherwise, the embedder first. A role for which
    /// nobody chose one and the registry has none is left out.
    pub fn default_models(&self) -> Vec<DefaultModel> {
        let defaults = &self.inner.defaults;
        let roles = [
            (Role::Embedding, &defaults.embedding_model),
            (Role::Text, &defaults.text_model),
            (Role::Vision, &defaults.vision_model),
        ];
        let named = roles.into_iter().filter_map(|(role, chosen)| {
            let registry = || Some(self.models().default_for(role)?.name.clone());
            Some(DefaultModel {
                role,
                name: chosen.clone().or_else(registry)?,
                chosen: chosen.is_some(),
            })
        });
        named.collect()
    }

    /// Whether a model is in memory, or its files are here and within the memory budget, so that it
    /// can be loaded when it is needed. Nothing is loaded, and a file is read only if it has changed
    /// since it was last verified.
    ///
    /// # Errors
    ///
    /// Those of finding its files, and [`Error::OutOfModelMemory`] for one that the budget does not
    /// allow even alone.
    pub fn check_model(&self, name: &str, role: Role) -> Result<()> {
        let bytes = match self.inner.models.file_bytes(name, role)? {
            // It is in memory already.
            None => return Ok(()),
            Some(bytes) => bytes,
        };
        match self.memory_budget() {
            MemoryBudget::Bytes(budget) if bytes > budget => Err(Error::OutOfModelMemory {
                model: name.to_owned(),
                needed: bytes,
                budget,
                held: Vec::new(),
            }),
            _ => Ok(()),
        }
    }
}
