//! The models that this installation offers by name.

use std::time::SystemTime;

use longtrainer_models::{Error as ModelsError, ModelStatus, Role};

use crate::error::{Error, Result};
use crate::model_pool::{EmbedderLease, TextModelLease};
use crate::trainer::{Inner, LongTrainer};

/// A model that can be asked by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsableModel {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Whether it is used for its role when nobody names a model.
    pub is_default: bool,
    /// Since when its files are here, if it has files of the registry.
    pub since: Option<SystemTime>,
}

impl LongTrainer {
    /// The models that can be asked by name: those of the registry whose files are here, what the
    /// program's defaults name, and what is in memory. One that serves in two roles is there twice.
    pub fn usable_models(&self) -> Vec<UsableModel> {
        let inner = &self.inner;
        let mut usable: Vec<UsableModel> = Vec::new();
        for (name, role) in inner.named_models() {
            inner.add_usable(&mut usable, name, role, None);
        }
        for entry in inner.models.registry().models() {
            if let Some(since) = inner.ready_since(&entry.name) {
                inner.add_usable(&mut usable, entry.name.clone(), entry.role, Some(since));
            }
        }
        usable
    }
}

impl Inner {
    /// Models that need no look at the disk: what the defaults name, and what is in memory. A path that
    /// somebody's bot once loaded is nobody else's business; one that the defaults name is.
    fn named_models(&self) -> Vec<(String, Role)> {
        let defaults = &self.defaults;
        let chosen = [
            (&defaults.text_model, Role::Text),
            (&defaults.vision_model, Role::Vision),
            (&defaults.embedding_model, Role::Embedding),
        ];
        let chosen = chosen
            .into_iter()
            .filter_map(|(name, role)| Some((name.clone()?, role)));
        let loaded = self.models.loaded().into_iter();
        let offered = loaded
            .filter(|model| model.pinned || self.models.registry().entry(&model.name).is_ok())
            .map(|model| (model.name, model.role));
        chosen.chain(offered).collect()
    }

    fn add_usable(
        &self,
        usable: &mut Vec<UsableModel>,
        name: String,
        role: Role,
        since: Option<SystemTime>,
    ) {
        let known = usable
            .iter_mut()
            .find(|model| model.name == name && model.role == role);
        match known {
            Some(model) => model.since = model.since.or(since),
            None => usable.push(UsableModel {
                is_default: self
                    .default_name(role)
                    .is_some_and(|default| default == name),
                name,
                role,
                since,
            }),
        }
    }

    fn default_name(&self, role: Role) -> Option<String> {
        let chosen = match role {
            Role::Text => self.defaults.text_model.as_ref(),
            Role::Vision => self.defaults.vision_model.as_ref(),
            _ => self.defaults.embedding_model.as_ref(),
        };
        chosen
            .cloned()
            .or_else(|| self.models.default_name(role).ok())
    }

    /// Since when all files of a model of the registry are here, those of the model before which a
    /// vision half is put included.
    fn ready_since(&self, name: &str) -> Option<SystemTime> {
        let registry = self.models.registry();
        let ModelStatus::Ready { folder } = registry.status(name) else {
            return None;
        };
        if let Some(text) = &registry.entry(name).ok()?.text
            && !matches!(registry.status(text), ModelStatus::Ready { .. })
        {
            return None;
        }
        let modified = std::fs::metadata(folder).and_then(|metadata| metadata.modified());
        Some(modified.unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// What a name is offered for.
    fn roles(&self, name: &str) -> Result<Vec<Role>> {
        let named = self.named_models().into_iter();
        let mut roles: Vec<Role> = named
            .filter(|(known, _)| known == name)
            .map(|(_, role)| role)
            .collect();
        if let Ok(entry) = self.models.registry().entry(name)
            && !roles.contains(&entry.role)
        {
            roles.push(entry.role);
        }
        match roles.is_empty() {
            false => Ok(roles),
            true => Err(Error::Models(ModelsError::UnknownModel {
                name: name.to_owned(),
                known: self.names(),
            })),
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = self.models.registry().models().iter();
        let mut names: Vec<String> = entries.map(|entry| entry.name.clone()).collect();
        for (name, _) in self.named_models() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// A model for messages, which must see if there are pictures among them.
    pub(super) fn offered_chat_model(&self, name: &str, pictures: bool) -> Result<TextModelLease> {
        let roles = self.roles(name)?;
        match (roles.contains(&Role::Text), roles.contains(&Role::Vision)) {
            (_, true) if pictures => self.models.vision_model(name),
            (true, _) if pictures => Err(Error::ModelDoesNotSee {
                name: name.to_owned(),
            }),
            (true, _) => self.models.text_model(name),
            (false, true) => self.models.vision_model(name),
            (false, false) => Err(wrong_role(name, &roles, Role::Text)),
        }
    }

    pub(super) fn offered_text_model(&self, name: &str) -> Result<TextModelLease> {
        let roles = self.roles(name)?;
        match roles.contains(&Role::Text) {
            true => self.models.text_model(name),
            false => Err(wrong_role(name, &roles, Role::Text)),
        }
    }

    pub(super) fn offered_embedder(&self, name: &str) -> Result<EmbedderLease> {
        let roles = self.roles(name)?;
        match roles.contains(&Role::Embedding) {
            true => self.models.embedder(name),
            false => Err(wrong_role(name, &roles, Role::Embedding)),
        }
    }
}

fn wrong_role(name: &str, roles: &[Role], asked: Role) -> Error {
    Error::ModelRole {
        name: name.to_owned(),
        role: roles.first().copied().unwrap_or(asked),
        asked,
    }
}
