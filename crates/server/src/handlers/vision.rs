//! Vision chats: made, asked, read, exported, renamed, deleted.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use longtrainer::{BotId, ChatRecord, VisionChatId};

use crate::answer::AnswerStream;
use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::chat_types::ExportQuery;
use crate::content_log;
use crate::export;
use crate::ids::Ids;
use crate::openapi::parameters as path;
use crate::openapi::responses::{
    Conflict, NoModel, NotAllowed, NotHere, Refused, RefusedQuery, Unknown,
};
use crate::query::QueryOf;
use crate::routes::ASK_ABOUT_PICTURES;
use crate::scoped::Scoped;
use crate::stream::{Form, events, plain_text};
use crate::types::{Done, Messages, NoFields, OfVisionChat, OrderQuery, RenameRequest};
use crate::vision_types::{VisionAnswerBody, VisionMessage, VisionQuestion};

/// Begins a vision chat
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/vision-chats",
    operation_id = "create_vision_chat",
    tag = "vision",
    params(path::OfBot),
    request_body = NoFields,
    responses(
        (status = 200, description = "The new vision chat", body = OfVisionChat),
        Unknown,
        Refused,
    ),
)]
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

/// Asks a question about pictures
///
/// It is answered whole or in pieces.
#[utoipa::path(
    post,
    path = ASK_ABOUT_PICTURES,
    operation_id = "ask_about_pictures",
    tag = "vision",
    params(path::OfVisionChatOfBot),
    request_body = VisionQuestion,
    responses(
        (
            status = 200,
            description = "The answer. With `stream` it comes as chunks of plain text; with \
                           `Accept: text/event-stream` as the events `sources` (a `SourcesEvent`), \
                           `token` (a `TokenEvent` each), `usage` (a `UsageBody`) and `done` (the \
                           whole answer), or `error` (an `ErrorEvent`)",
            content(
                (VisionAnswerBody = "application/json"),
                (String = "text/plain"),
                (String = "text/event-stream"),
            ),
        ),
        Unknown,
        Refused,
        Conflict,
        NotAllowed,
        NotHere,
        NoModel,
    ),
)]
pub(crate) async fn ask(
    Scoped(state): Scoped,
    Ids((bot_id, chat_id)): Ids<(BotId, VisionChatId)>,
    headers: HeaderMap,
    JsonBody(question): JsonBody<VisionQuestion>,
) -> Result<Response, ApiError> {
    let form = Form::wanted(question.stream, &headers);
    question.check()?;
    content_log::question(&state.options, &question.query, &question.image_paths);
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

/// Reads a vision chat
#[utoipa::path(
    get,
    path = "/vision-chats/{vision_chat_id}",
    operation_id = "show_vision_chat",
    tag = "vision",
    params(path::OfVisionChat, OrderQuery),
    responses(
        (status = 200, description = "Its turns", body = Messages<VisionMessage>),
        Unknown,
        RefusedQuery,
    ),
)]
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

/// Gives a vision chat as a file
#[utoipa::path(
    get,
    path = "/vision-chats/{vision_chat_id}/export",
    operation_id = "export_vision_chat",
    tag = "vision",
    params(path::OfVisionChat, ExportQuery),
    responses(
        (
            status = 200,
            description = "The file",
            content((String = "application/jsonl"), (String = "text/markdown")),
        ),
        Unknown,
        RefusedQuery,
    ),
)]
pub(crate) async fn export(
    Scoped(state): Scoped,
    Ids(chat_id): Ids<VisionChatId>,
    QueryOf(query): QueryOf<ExportQuery>,
) -> Result<Response, ApiError> {
    let (name, format) = (chat_id.to_string(), query.into());
    export::file(state, &name, format, move |trainer| {
        trainer.export_vision_chat(&chat_id, format)
    })
    .await
}

/// Gives a picture of which the chat keeps a copy
///
/// Its turn names it by its `sha256`. It is what somebody sent in, so a browser is told to save it and
/// not to guess what it is.
#[utoipa::path(
    get,
    path = "/vision-chats/{vision_chat_id}/pictures/{sha256}",
    operation_id = "show_picture",
    tag = "vision",
    params(path::OfPicture),
    responses(
        (status = 200, description = "The picture", body = [u8], content_type = "application/octet-stream"),
        Unknown,
    ),
)]
pub(crate) async fn picture(
    Scoped(state): Scoped,
    Ids((chat_id, sha256)): Ids<(VisionChatId, String)>,
) -> Result<Response, ApiError> {
    let bytes = state
        .call(move |trainer| trainer.vision_picture(&chat_id, &sha256))
        .await?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, "attachment"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, bytes).into_response())
}

/// Renames a vision chat
#[utoipa::path(
    patch,
    path = "/vision-chats/{vision_chat_id}",
    operation_id = "rename_vision_chat",
    tag = "vision",
    params(path::OfVisionChat),
    request_body = RenameRequest,
    responses(
        (status = 200, description = "The vision chat", body = ChatRecord),
        Unknown,
        Refused,
    ),
)]
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

/// Deletes a vision chat with its turns and pictures
#[utoipa::path(
    delete,
    path = "/vision-chats/{vision_chat_id}",
    operation_id = "delete_vision_chat",
    tag = "vision",
    params(path::OfVisionChat),
    responses(
        (status = 200, description = "It is gone", body = Done<OfVisionChat>),
        Unknown,
    ),
)]
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
