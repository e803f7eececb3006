//! Bots: made, built, loaded, shown, deleted.

use axum::Json;
use longtrainer::BotId;
use longtrainer::BotRecord;

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::openapi::parameters as path;
use crate::openapi::responses::{Conflict, NoModel, NotHere, Refused, Unknown};
use crate::scoped::Scoped;
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
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/build",
    operation_id = "build_bot",
    tag = "bots",
    params(path::OfBot),
    request_body = BuildRequest,
    responses(
        (status = 200, description = "What was done", body = Built),
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
    JsonBody(request): JsonBody<BuildRequest>,
) -> Result<Json<Built>, ApiError> {
    let options = request.into_options()?;
    state
        .call(move |trainer| {
            let report = trainer.create_bot(&bot_id, options)?;
            Ok::<_, longtrainer::Error>(Json(Built::new(bot_id.into(), &report)))
        })
        .await
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
