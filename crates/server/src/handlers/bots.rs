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
use crate::openapi::parameters as path;
use crate::openapi::responses::{Conflict, NoModel, NotHere, Refused, Unknown};
use crate::query::QueryOf;
use crate::scoped::Scoped;
use crate::state::AppState;
use crate::types::{BotList, BuildRequest, Built, Done, NoFields, OfBot, PromptRequest};

/// Makes a bot
#[utoipa::path(
    post,
    path = "/bots",
    operation_id = "create_bot",
    tag = "bots",
    request_body = NoFields,
    responses(
        (status = 200, description = "The new bot", body = OfBot),
        Refused,
    ),
)]
pub(crate) async fn create(
    Scoped(state): Scoped,
    JsonBody(NoFields {}): JsonBody<NoFields>,
) -> Result<Json<OfBot>, ApiError> {
    let bot_id = state.call(|trainer| trainer.initialize_bot_id()).await?;
    Ok(Json(OfBot {
        bot_id: bot_id.into(),
    }))
}

/// Lists the bots, oldest first
#[utoipa::path(
    get,
    path = "/bots",
    operation_id = "list_bots",
    tag = "bots",
    responses(
        (status = 200, description = "All bots", body = BotList),
    ),
)]
pub(crate) async fn list(Scoped(state): Scoped) -> Result<Json<BotList>, ApiError> {
    let bots = state.call(|trainer| trainer.list_bots()).await?;
    Ok(Json(BotList { bots }))
}

/// Shows a bot
#[utoipa::path(
    get,
    path = "/bots/{bot_id}",
    operation_id = "show_bot",
    tag = "bots",
    params(path::OfBot),
    responses(
        (status = 200, description = "The bot", body = BotRecord),
        Unknown,
    ),
)]
pub(crate) async fn show(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
) -> Result<Json<BotRecord>, ApiError> {
    state
        .call(move |trainer| trainer.bot(&bot_id))
        .await
        .map(Json)
}

/// Makes what was added searchable, and changes settings
///
/// It is waited for as documented, or done as a job.
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/build",
    operation_id = "build_bot",
    tag = "bots",
    params(path::OfBot, BackgroundQuery),
    request_body = BuildRequest,
    responses(
        (status = 200, description = "What was done", body = Built),
        (status = 202, description = "The job, with `background`", body = JobBegun),
        Unknown,
        Refused,
        Conflict,
        NotHere,
        NoModel,
    ),
)]
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

/// Embeds all documents again, as a job
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/reindex",
    operation_id = "reindex_bot",
    tag = "bots",
    params(path::OfBot),
    request_body = ReindexRequest,
    responses(
        (status = 202, description = "The job", body = JobBegun),
        Unknown,
        Refused,
    ),
)]
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

/// Changes settings
///
/// Those that are named; `null` takes one back to the program's default.
#[utoipa::path(
    patch,
    path = "/bots/{bot_id}",
    operation_id = "update_bot",
    tag = "bots",
    params(path::OfBot),
    request_body = BotPatch,
    responses(
        (status = 200, description = "The bot", body = BotRecord),
        Unknown,
        Refused,
    ),
)]
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

/// Loads a bot's index, so that the first question does not wait for it
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/load",
    operation_id = "load_bot",
    tag = "bots",
    params(path::OfBot),
    request_body = NoFields,
    responses(
        (status = 200, description = "It is loaded", body = Done<OfBot>),
        Unknown,
        Refused,
        Conflict,
        NoModel,
    ),
)]
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

/// Changes a bot's system prompt
#[utoipa::path(
    put,
    path = "/bots/{bot_id}/prompt",
    operation_id = "set_prompt",
    tag = "bots",
    params(path::OfBot),
    request_body = PromptRequest,
    responses(
        (status = 200, description = "It is changed", body = Done<OfBot>),
        Unknown,
        Refused,
    ),
)]
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

/// Deletes a bot with all it has
#[utoipa::path(
    delete,
    path = "/bots/{bot_id}",
    operation_id = "delete_bot",
    tag = "bots",
    params(path::OfBot),
    responses(
        (status = 200, description = "It is gone", body = Done<OfBot>),
        Unknown,
    ),
)]
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
