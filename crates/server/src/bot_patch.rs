//! A change of a bot's settings, and which models a client may choose.

use longtrainer::models::Role;
use longtrainer::{BotSettings, Chunking, LongTrainer};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::api_error::ApiError;

/// The settings to change. What is not named stays; `null` takes a setting back to the default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BotPatch {
    /// System prompt with a `{context}` placeholder.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    prompt_template: Option<Option<String>>,
    /// Passages per retrieval, from 1 to 1000.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<usize>)]
    num_k: Option<Option<usize>>,
    /// Whether a question is also searched for in other words.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    ensemble: Option<Option<bool>>,
    /// Most characters of a chunk.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<usize>)]
    chunk_size: Option<Option<usize>>,
    /// Characters that neighbouring chunks share.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<usize>)]
    chunk_overlap: Option<Option<usize>>,
    /// The model that answers.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    text_model: Option<Option<String>>,
    /// The model that documents are found with.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    embedding_model: Option<Option<String>>,
    /// The model that looks at pictures.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    vision_model: Option<Option<String>>,
    /// Whether chats keep copies of their pictures.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    keep_pictures: Option<Option<bool>>,
}

/// A field that is there, be it `null`.
fn given<'de, T, D>(value: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(value).map(Some)
}

impl BotPatch {
    /// Refuses models that a client may not choose.
    pub(crate) fn check(&self, trainer: &LongTrainer) -> Result<(), ApiError> {
        for (name, role) in [
            (&self.text_model, Role::Text),
            (&self.embedding_model, Role::Embedding),
            (&self.vision_model, Role::Vision),
        ] {
            if let Some(Some(name)) = name {
                check_model(trainer, name, role)?;
            }
        }
        Ok(())
    }

    /// Makes the change; `chunking` is the program's default.
    pub(crate) fn apply(&self, settings: &mut BotSettings, chunking: Chunking) {
        change(&mut settings.prompt_template, &self.prompt_template);
        change(&mut settings.num_k, &self.num_k);
        change(&mut settings.ensemble, &self.ensemble);
        change(&mut settings.text_model, &self.text_model);
        change(&mut settings.embedding_model, &self.embedding_model);
        change(&mut settings.vision_model, &self.vision_model);
        change(&mut settings.keep_pictures, &self.keep_pictures);
        self.apply_chunking(settings, chunking);
    }

    /// Size and overlap are one setting: the default of both again only if both are `null`.
    fn apply_chunking(&self, settings: &mut BotSettings, default: Chunking) {
        settings.chunking = match (self.chunk_size, self.chunk_overlap) {
            (None, None) => return,
            (Some(None), Some(None)) => None,
            (size, overlap) => {
                let now = settings.chunking.unwrap_or(default);
                let part = |change: Option<Option<usize>>, now, default| {
                    change.map_or(now, |value| value.unwrap_or(default))
                };
                Some(Chunking {
                    chunk_size: part(size, now.chunk_size, default.chunk_size),
                    chunk_overlap: part(overlap, now.chunk_overlap, default.chunk_overlap),
                })
            }
        };
    }
}

fn change<T: Clone>(setting: &mut Option<T>, change: &Option<Option<T>>) {
    if let Some(value) = change {
        setting.clone_from(value);
    }
}

/// A client chooses among the models of the registry and those that the program was given. A path
/// would let it open any file of this machine.
pub(crate) fn check_model(trainer: &LongTrainer, name: &str, role: Role) -> Result<(), ApiError> {
    let is_given =
        |model: &longtrainer::LoadedModel| model.name == name && model.role == role && model.pinned;
    if trainer.loaded_models().iter().any(is_given) {
        return Ok(());
    }
    match trainer.models().entry(name) {
        Ok(entry) if entry.role == role => Ok(()),
        Ok(entry) => Err(ApiError::bad_request(format!(
            "the model {name:?} is for the role {}, not for {role}",
            entry.role
        ))),
        Err(error) => Err(ApiError::bad_request(error.to_string())),
    }
}
