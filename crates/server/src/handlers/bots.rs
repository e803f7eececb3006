//! Bots: made, built, loaded, shown, deleted.

use axum::Json;
use longtrainer::BotId;
use longtrainer::BotRecord;

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::scoped::Scoped;
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
