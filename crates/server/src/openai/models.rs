//! `GET /v1/models`: what can be asked, the bots included.

use axum::Json;
use axum::extract::Path;
use longtrainer::{BotRecord, LongTrainer, UsableModel};
use serde::Serialize;

use super::asking::bot_named;
use super::error::OpenAiError;
use super::stamp::seconds;
use crate::scoped::Scoped;

#[derive(Serialize)]
pub(super) struct ModelList {
    object: &'static str,
    data: Vec<Model>,
}

/// A model as OpenAI has it, and what it is for.
#[derive(Serialize)]
pub(super) struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    /// `text`, `vision`, `embedding` or `bot`.
    role: String,
}

impl From<UsableModel> for Model {
    fn from(model: UsableModel) -> Self {
        Self {
            id: model.name,
            object: "model",
            created: model.since.map_or(0, seconds),
            owned_by: "longtrainer",
            role: model.role.to_string(),
        }
    }
}

impl From<BotRecord> for Model {
    fn from(bot: BotRecord) -> Self {
        Self {
            id: bot.bot_id,
            object: "model",
            created: u64::try_from(bot.created_at.as_second()).unwrap_or_default(),
            owned_by: "longtrainer",
            role: "bot".to_owned(),
        }
    }
}

pub(super) async fn list(Scoped(state): Scoped) -> Result<Json<ModelList>, OpenAiError> {
    let data = state
        .call(|trainer| {
            let mut models = offered(trainer);
            models.extend(trainer.list_bots()?.into_iter().map(Model::from));
            Ok::<_, longtrainer::Error>(models)
        })
        .await?;
    Ok(Json(ModelList {
        object: "list",
        data,
    }))
}

pub(super) async fn show(
    Scoped(state): Scoped,
    Path(model): Path<String>,
) -> Result<Json<Model>, OpenAiError> {
    let found = state
        .call(move |trainer| Ok::<_, crate::api_error::ApiError>(find(trainer, &model)))
        .await?;
    found.map(Json)
}

fn find(trainer: &LongTrainer, model: &str) -> Result<Model, OpenAiError> {
    match bot_named(model) {
        Some(bot) => Ok(trainer.bot(&bot?)?.into()),
        None => offered(trainer)
            .into_iter()
            .find(|offered| offered.id == model)
            .ok_or_else(|| OpenAiError::no_such_model(model)),
    }
}

/// The models that are no bots, each once.
fn offered(trainer: &LongTrainer) -> Vec<Model> {
    let mut models: Vec<Model> = Vec::new();
    for model in trainer.usable_models() {
        if models.iter().all(|known| known.id != model.name) {
            models.push(model.into());
        }
    }
    models
}
