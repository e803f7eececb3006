//! Vision chats: made, asked, read, renamed, deleted. No picture is read in this version: a
//! question ends with the facade's "no vision model is loaded", 503.

use axum::Json;
use axum::extract::State;
use longtrainer::{BotId, ChatRecord, VisionChatId};

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::query::QueryOf;
use crate::state::AppState;
use crate::types::{
    Done, Messages, NoFields, OfVisionChat, OrderQuery, RenameRequest, VisionAnswerBody,
    VisionMessage, VisionQuestion,
};

pub(crate) async fn create(
    State(state): State<AppState>,
    Ids(bot_id): Ids<BotId>,
    JsonBody(NoFields {}): JsonBody<NoFields>,
) -> Result<Json<OfVisionChat>, ApiError> {
    let chat_id = state
        .call(move |trainer| trainer.new_vision_chat(&bot_id))
        .await?;
    Ok(Json(OfVisionChat {
        vision_chat_id: chat_id.into(),
    }))
}

pub(crate) async fn ask(
    State(state): State<AppState>,
    Ids((bot_id, chat_id)): Ids<(BotId, VisionChatId)>,
    JsonBody(question): JsonBody<VisionQuestion>,
) -> Result<Json<VisionAnswerBody>, ApiError> {
    let (query, images, options) = question.into_parts()?;
    let answer = state
        .call(move |trainer| {
            trainer.get_vision_response(&query, &images, &bot_id, &chat_id, options)
        })
        .await?;
    Ok(Json(answer.into()))
}

pub(crate) async fn show(
    State(state): State<AppState>,
    Ids(chat_id): Ids<VisionChatId>,
    QueryOf(query): QueryOf<OrderQuery>,
) -> Result<Json<Messages<VisionMessage>>, ApiError> {
    state
        .call(move |trainer| {
            let chat = trainer.vision_chat(&chat_id)?;
            let messages = trainer
                .get_vision_chat_by_id(&chat_id, query.into())?
                .into_iter()
                .map(|turn| VisionMessage {
                    bot_id: chat.bot_id.clone(),
                    vision_chat_id: chat.chat_id.clone(),
                    image_path: turn.image_paths.join(","),
                    turn,
                })
                .collect();
            Ok::<_, longtrainer::Error>(Json(Messages { messages }))
        })
        .await
}

pub(crate) async fn rename(
    State(state): State<AppState>,
    Ids(chat_id): Ids<VisionChatId>,
    JsonBody(request): JsonBody<RenameRequest>,
) -> Result<Json<ChatRecord>, ApiError> {
    state
        .call(move |trainer| trainer.rename_vision_chat(&chat_id, request.title.as_deref()))
        .await
        .map(Json)
}

pub(crate) async fn delete(
    State(state): State<AppState>,
    Ids(chat_id): Ids<VisionChatId>,
) -> Result<Json<Done<OfVisionChat>>, ApiError> {
    let id = chat_id.to_string();
    state
        .call(move |trainer| trainer.delete_vision_chat(&chat_id))
        .await?;
    Ok(Json(Done {
        status: "deleted",
        ids: OfVisionChat { vision_chat_id: id },
    }))
}
