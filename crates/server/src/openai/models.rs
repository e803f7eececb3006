//! `GET /v1/models`: what can be asked, the bots included.

use axum::Json;
use axum::extract::Path;
use longtrainer::{BotRecord, LongTrainer, UsableModel};
use serde::Serialize;
use utoipa::ToSchema;

use super::asking::bot_named;
use super::description::UnknownModel;
use super::error::OpenAiError;
use super::stamp::seconds;
use crate::openapi::parameters::OfModel;
use crate::scoped::Scoped;

/// What can be asked.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenAiModelList)]
pub(super) struct ModelList {
    /// Always `list`.
    object: &'static str,
    /// Models and bots.
    data: Vec<Model>,
}

/// A model as OpenAI has it, and what it is for.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenAiModel)]
pub(super) struct Model {
    /// Its name.
    #[schema(example = "SmolLM2-135M-Instruct")]
    id: String,
    /// Always `model`.
    object: &'static str,
    /// Since when it is here, in seconds of Unix time.
    created: u64,
    /// Always `longtrainer`.
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

/// Lists the models whose files are here, and the bots
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "list_openai_models",
    tag = "openai",
    responses(
        (status = 200, description = "The models", body = ModelList),
    ),
)]
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

/// Shows a model or a bot
#[utoipa::path(
    get,
    path = "/v1/models/{*model}",
    operation_id = "show_openai_model",
    tag = "openai",
    params(OfModel),
    responses(
        (status = 200, description = "The model", body = Model),
        UnknownModel,
    ),
)]
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
