//! Bots: made, built, changed, loaded, shown, deleted.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use longtrainer::models::Role;
use longtrainer::{BotId, BotOptions, BotRecord, JobTask};

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::bot_patch::{BotPatch, check_model};
use crate::handlers::jobs;
use crate::ids::Ids;
use crate::job_types::{BackgroundQuery, JobBegun, ReindexRequest};
use crate::query::QueryOf;
use crate::scoped::Scoped;
use crate::state::AppState;
use crate::types::{BotList, BuildRequest, Built, Done, NoFields, OfBot, PromptRequest};

pub(crate) async fn create(
    Scoped(state): Scoped,
    JsonBody(NoFields {}): JsonBody<NoFields>,
) -> Result<Json<OfBot>, ApiError> {
    let bot_id = state.call(|trainer| trainer.initialize_bot_id()).await?;
    Ok(Json(OfBot {
        bot_id: bot_id.into(),
    }))
}

pub(crate) async fn list(Scoped(state): Scoped) -> Result<Json<BotList>, ApiError> {
    let bots = state.call(|trainer| trainer.list_bots()).await?;
    Ok(Json(BotList { bots }))
}

pub(crate) async fn show(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
) -> Result<Json<BotRecord>, ApiError> {
    state
        .call(move |trainer| trainer.bot(&bot_id))
        .await
        .map(Json)
}

pub(crate) async fn build(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    QueryOf(query): QueryOf<BackgroundQuery>,
    JsonBody(request): JsonBody<BuildRequest>,
) -> Result<Response, ApiError> {
    let options = request.into_options()?;
    if query.background {
        return build_in_background(&state, bot_id, options).await;
    }
    let built = state
        .call(move |trainer| {
            let report = trainer.create_bot(&bot_id, options)?;
            Ok::<_, longtrainer::Error>(Built::new(bot_id.into(), &report))
        })
        .await?;
    Ok(Json(built).into_response())
}

/// Changes the settings now, so that what is wrong with them is told now, and builds as a job.
async fn build_in_background(
    state: &AppState,
    bot_id: BotId,
    options: BotOptions,
) -> Result<Response, ApiError> {
    let task = state
        .call(move |trainer| {
            trainer.change_settings(&bot_id, options)?;
            Ok::<_, longtrainer::Error>(JobTask::Build { bot_id })
        })
        .await?;
    Ok(jobs::begin(state, task).await?.into_response())
}

/// Embeds all documents again, as a job.
pub(crate) async fn reindex(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    JsonBody(request): JsonBody<ReindexRequest>,
) -> Result<(StatusCode, Json<JobBegun>), ApiError> {
    let task = state
        .call(move |trainer| {
            let embedding_model = request.embedding_model;
            if let Some(name) = &embedding_model {
                check_model(trainer, name, Role::Embedding)?;
            }
            Ok::<_, ApiError>(JobTask::Reindex {
                bot_id,
                embedding_model,
            })
        })
        .await?;
    jobs::begin(&state, task).await
}

/// Changes the settings that are named; `null` takes one back to the program's default.
pub(crate) async fn update(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    JsonBody(patch): JsonBody<BotPatch>,
) -> Result<Json<BotRecord>, ApiError> {
    state
        .call(move |trainer| {
            trainer.bot(&bot_id)?;
            patch.check(trainer)?;
            let chunking = trainer.defaults().chunking;
            let edited = trainer.edit_settings(&bot_id, |settings| patch.apply(settings, chunking));
            edited.map_err(ApiError::from)
        })
        .await
        .map(Json)
}

pub(crate) async fn load(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    JsonBody(NoFields {}): JsonBody<NoFields>,
) -> Result<Json<Done<OfBot>>, ApiError> {
    let id = bot_id.to_string();
    state.call(move |trainer| trainer.load_bot(&bot_id)).await?;
    Ok(Json(Done {
        status: "ok",
        ids: OfBot { bot_id: id },
    }))
}

pub(crate) async fn set_prompt(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    JsonBody(request): JsonBody<PromptRequest>,
) -> Result<Json<Done<OfBot>>, ApiError> {
    let id = bot_id.to_string();
    state
        .call(move |trainer| trainer.set_custom_prompt_template(&bot_id, &request.prompt_template))
        .await?;
    Ok(Json(Done {
        status: "ok",
        ids: OfBot { bot_id: id },
    }))
}

pub(crate) async fn delete(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
) -> Result<Json<Done<OfBot>>, ApiError> {
    let id = bot_id.to_string();
    state
        .call(move |trainer| trainer.delete_chatbot(&bot_id))
        .await?;
    Ok(Json(Done {
        status: "deleted",
        ids: OfBot { bot_id: id },
    }))
}
