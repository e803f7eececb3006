//! A model of any role.

use std::sync::Arc;

use longtrainer_inference::{Embedder, GgufTextModel, TextModel};
use longtrainer_models::Role;

use crate::error::{Error, Result};

use super::lease::Lease;
use super::residency::Resident;

/// A model of any role, since all of them share one budget.
#[derive(Clone)]
pub(super) enum Model {
    Embedder(Arc<dyn Embedder>),
    Text(Text),
    Vision {
        model: Arc<dyn TextModel>,
        /// Keeps the text model that it is put before loaded, if that is a model of the pool.
        _text: Option<LocalTextLease>,
    },
}

/// A text model; one of this machine can be put behind a vision half.
#[derive(Clone)]
pub(super) enum Text {
    Local(Arc<GgufTextModel>),
    Other(Arc<dyn TextModel>),
}

/// A text model of this machine that stays loaded while this lives.
pub(super) type LocalTextLease = Lease<Arc<GgufTextModel>>;

impl Text {
    fn model(&self) -> &dyn TextModel {
        match self {
            Self::Local(model) => &**model,
            Self::Other(model) => &**model,
        }
    }
}

impl Model {
    pub(super) fn into_embedder(self) -> Result<Arc<dyn Embedder>> {
        match self {
            Self::Embedder(embedder) => Ok(embedder),
            other => Err(other.not_for(Role::Embedding)),
        }
    }

    pub(super) fn into_text_model(self) -> Result<Arc<dyn TextModel>> {
        match self {
            Self::Text(Text::Local(model)) => Ok(model),
            Self::Text(Text::Other(model)) => Ok(model),
            other => Err(other.not_for(Role::Text)),
        }
    }

    /// A text model that can be put behind a vision half.
    pub(super) fn into_local_text_model(self) -> Result<Arc<GgufTextModel>> {
        match self {
            Self::Text(Text::Local(model)) => Ok(model),
            Self::Text(Text::Other(model)) => Err(Error::ModelDoesNotSee {
                name: model.info().model.clone(),
            }),
            other => Err(other.not_for(Role::Text)),
        }
    }

    pub(super) fn into_vision_model(self) -> Result<Arc<dyn TextModel>> {
        match self {
            Self::Vision { model, .. } => check_sees(&*model).map(|()| model),
            other => Err(other.not_for(Role::Vision)),
        }
    }

    fn not_for(&self, asked: Role) -> Error {
        let (name, role) = match self {
            Self::Embedder(embedder) => (&embedder.info().model, Role::Embedding),
            Self::Text(text) => (&text.model().info().model, Role::Text),
            Self::Vision { model, .. } => (&model.info().model, Role::Vision),
        };
        Error::ModelRole {
            name: name.clone(),
            role,
            asked,
        }
    }
}

/// A model that takes no pictures would answer about them without having seen any.
pub(super) fn check_sees(model: &dyn TextModel) -> Result<()> {
    match model.sees() {
        true => Ok(()),
        false => Err(Error::ModelDoesNotSee {
            name: model.info().model.clone(),
        }),
    }
}

impl Resident for Model {
    fn memory_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Embedder(embedder) => embedder.memory_bytes(),
            Self::Text(text) => text.model().memory_bytes(),
            Self::Vision { model, .. } => model.memory_bytes(),
        };
        bytes as u64
    }
}
