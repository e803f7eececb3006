//! Vision chats: made, asked, read, renamed, deleted.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use longtrainer::{BotId, ChatRecord, VisionChatId};

use crate::answer::AnswerStream;
use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::query::QueryOf;
use crate::scoped::Scoped;
use crate::stream::{Form, events, plain_text};
use crate::types::{Done, Messages, NoFields, OfVisionChat, OrderQuery, RenameRequest};
use crate::vision_types::{VisionAnswerBody, VisionMessage, VisionQuestion};

pub(crate) async fn create(
    Scoped(state): Scoped,
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

/// Answers a question about pictures, whole or in pieces.
pub(crate) async fn ask(
    Scoped(state): Scoped,
    Ids((bot_id, chat_id)): Ids<(BotId, VisionChatId)>,
    headers: HeaderMap,
    JsonBody(question): JsonBody<VisionQuestion>,
) -> Result<Response, ApiError> {
    let form = Form::wanted(question.stream, &headers);
    question.check()?;
    let options = state.options.clone();
    let answer = AnswerStream::begin(&state, move |trainer| {
        let (query, images, options) = question.into_parts(&options.allow_dirs)?;
        let stream = trainer.stream_vision_response(&query, images, &bot_id, &chat_id, options);
        stream.map_err(ApiError::from)
    })
    .await?;
    match form {
        Form::Whole => Ok(Json(VisionAnswerBody::from(answer.whole().await?)).into_response()),
        Form::PlainText => plain_text(answer).await,
        Form::Events => Ok(events::<VisionAnswerBody>(answer)),
    }
}

pub(crate) async fn show(
    Scoped(state): Scoped,
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
    Scoped(state): Scoped,
    Ids(chat_id): Ids<VisionChatId>,
    JsonBody(request): JsonBody<RenameRequest>,
) -> Result<Json<ChatRecord>, ApiError> {
    state
        .call(move |trainer| trainer.rename_vision_chat(&chat_id, request.title.as_deref()))
        .await
        .map(Json)
}

pub(crate) async fn delete(
    Scoped(state): Scoped,
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
