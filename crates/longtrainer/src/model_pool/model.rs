//! A model of any role.

use std::sync::Arc;

use longtrainer_inference::{Embedder, TextModel};
use longtrainer_models::Role;

use crate::error::{Error, Result};

use super::residency::Resident;

/// A model of any role, since all of them share one budget.
#[derive(Clone)]
pub(super) enum Model {
    Embedder(Arc<dyn Embedder>),
    Text(Arc<dyn TextModel>),
}

impl Model {
    pub(super) fn into_embedder(self) -> Result<Arc<dyn Embedder>> {
        match self {
            Self::Embedder(embedder) => Ok(embedder),
            Self::Text(model) => Err(Error::ModelRole {
                name: model.info().model.clone(),
                role: Role::Text,
                asked: Role::Embedding,
            }),
        }
    }

    pub(super) fn into_text_model(self) -> Result<Arc<dyn TextModel>> {
        match self {
            Self::Text(model) => Ok(model),
            Self::Embedder(embedder) => Err(Error::ModelRole {
                name: embedder.info().model.clone(),
                role: Role::Embedding,
                asked: Role::Text,
            }),
        }
    }
}

impl Resident for Model {
    fn memory_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Embedder(embedder) => embedder.memory_bytes(),
            Self::Text(model) => model.memory_bytes(),
        };
        bytes as u64
    }
}
