//! Text chats: made, listed, searched, asked, read, exported, renamed, deleted.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use longtrainer::{Answer, BotId, ChatId, ChatKind, ChatRecord, ChatSearch};

use crate::answer::AnswerStream;
use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::chat_types::{ChatsOfBot, ChatsQuery, ExportQuery, SearchChatsQuery};
use crate::content_log;
use crate::export;
use crate::ids::Ids;
use crate::openapi::parameters as path;
use crate::openapi::responses::{Conflict, NoModel, NotHere, Refused, RefusedQuery, Unknown};
use crate::query::QueryOf;
use crate::scoped::Scoped;
use crate::stream::{Form, events, plain_text};
use crate::types::{
    AnswerBody, Done, Message, Messages, NoFields, OfChat, OrderQuery, Question, RenameRequest,
    WholeAnswer,
};

/// Begins a chat
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/chats",
    operation_id = "create_chat",
    tag = "chats",
    params(path::OfBot),
    request_body = NoFields,
    responses(
        (status = 200, description = "The new chat", body = OfChat),
        Unknown,
        Refused,
    ),
)]
pub(crate) async fn create(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    JsonBody(NoFields {}): JsonBody<NoFields>,
) -> Result<Json<OfChat>, ApiError> {
    let chat_id = state.call(move |trainer| trainer.new_chat(&bot_id)).await?;
    Ok(Json(OfChat {
        chat_id: chat_id.into(),
    }))
}

/// Lists a bot's chats
///
/// Without anything, all of both kinds, oldest first.
#[utoipa::path(
    get,
    path = "/bots/{bot_id}/chats",
    operation_id = "list_chats",
    tag = "chats",
    params(path::OfBot, ChatsQuery),
    responses(
        (status = 200, description = "The chats", body = ChatsOfBot),
        Unknown,
        RefusedQuery,
    ),
)]
pub(crate) async fn list(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    QueryOf(query): QueryOf<ChatsQuery>,
) -> Result<Json<ChatsOfBot>, ApiError> {
    query.check()?;
    state
        .call(move |trainer| {
            trainer.bot(&bot_id)?;
            let chats = |kind| match query.wants(kind) {
                true => trainer.chats(&bot_id, kind),
                false => Ok(Vec::new()),
            };
            let (text, vision) = (chats(ChatKind::Text)?, chats(ChatKind::Vision)?);
            Ok::<_, longtrainer::Error>(Json(ChatsOfBot::new(&query, text, vision)))
        })
        .await
}

/// Searches a bot's chats for turns that have all words of `q`
#[utoipa::path(
    get,
    path = "/bots/{bot_id}/chats/search",
    operation_id = "search_chats",
    tag = "chats",
    params(path::OfBot, SearchChatsQuery),
    responses(
        (status = 200, description = "The turns", body = ChatSearch),
        Unknown,
        RefusedQuery,
    ),
)]
pub(crate) async fn search(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    QueryOf(query): QueryOf<SearchChatsQuery>,
) -> Result<Json<ChatSearch>, ApiError> {
    let limit = query.limit()?;
    state
        .call(move |trainer| trainer.search_chats(&bot_id, &query.q, limit))
        .await
        .map(Json)
}

/// Gives all chats of a bot as a file
#[utoipa::path(
    get,
    path = "/bots/{bot_id}/chats/export",
    operation_id = "export_chats",
    tag = "chats",
    params(path::OfBot, ExportQuery),
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
pub(crate) async fn export_all(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    QueryOf(query): QueryOf<ExportQuery>,
) -> Result<Response, ApiError> {
    let (name, format) = (bot_id.to_string(), query.into());
    export::file(state, &name, format, move |trainer| {
        trainer.export_chats(&bot_id, format)
    })
    .await
}

/// Gives a chat as a file
#[utoipa::path(
    get,
    path = "/chats/{chat_id}/export",
    operation_id = "export_chat",
    tag = "chats",
    params(path::OfChat, ExportQuery),
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
    Ids(chat_id): Ids<ChatId>,
    QueryOf(query): QueryOf<ExportQuery>,
) -> Result<Response, ApiError> {
    let (name, format) = (chat_id.to_string(), query.into());
    export::file(state, &name, format, move |trainer| {
        trainer.export_chat(&chat_id, format)
    })
    .await
}

/// Asks a question
///
/// It is answered whole or in pieces. A client that leaves stops the model, whichever it is.
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/chats/{chat_id}",
    operation_id = "ask",
    tag = "chats",
    params(path::OfChatOfBot),
    request_body = Question,
    responses(
        (
            status = 200,
            description = "The answer. With `stream` it comes as chunks of plain text; with \
                           `Accept: text/event-stream` as the events `sources` (a `SourcesEvent`), \
                           `token` (a `TokenEvent` each), `usage` (a `UsageBody`) and `done` (the \
                           whole answer), or `error` (an `ErrorEvent`)",
            content(
                (WholeAnswer = "application/json"),
                (String = "text/plain"),
                (String = "text/event-stream"),
            ),
        ),
        Unknown,
        Refused,
        Conflict,
        NotHere,
        NoModel,
    ),
)]
pub(crate) async fn ask(
    Scoped(state): Scoped,
    Ids((bot_id, chat_id)): Ids<(BotId, ChatId)>,
    headers: HeaderMap,
    JsonBody(question): JsonBody<Question>,
) -> Result<Response, ApiError> {
    let form = Form::wanted(question.stream, &headers);
    question.check(form)?;
    content_log::question(&state.options, &question.query, &[]);
    let (query, options) = question.into_parts();
    let answer = AnswerStream::begin(&state, move |trainer| {
        trainer.stream_response(&query, &bot_id, &chat_id, options)
    })
    .await?;
    match form {
        Form::Whole => whole(answer.whole().await),
        Form::PlainText => plain_text(answer).await,
        Form::Events => Ok(events::<AnswerBody>(answer)),
    }
}

/// An answer, or the documented form of one that should have been data and is not.
fn whole(answer: Result<Answer, ApiError>) -> Result<Response, ApiError> {
    let body = match answer {
        Ok(answer) => WholeAnswer::Answer(answer.into()),
        Err(error) => WholeAnswer::Unstructured(error.into_unstructured()?),
    };
    Ok(Json(body).into_response())
}

/// Reads a chat
#[utoipa::path(
    get,
    path = "/chats/{chat_id}",
    operation_id = "show_chat",
    tag = "chats",
    params(path::OfChat, OrderQuery),
    responses(
        (status = 200, description = "Its turns", body = Messages<Message>),
        Unknown,
        RefusedQuery,
    ),
)]
pub(crate) async fn show(
    Scoped(state): Scoped,
    Ids(chat_id): Ids<ChatId>,
    QueryOf(query): QueryOf<OrderQuery>,
) -> Result<Json<Messages<Message>>, ApiError> {
    state
        .call(move |trainer| {
            let chat = trainer.chat(&chat_id)?;
            let messages = trainer
                .get_chat_by_id(&chat_id, query.into())?
                .into_iter()
                .map(|turn| Message {
                    bot_id: chat.bot_id.clone(),
                    chat_id: chat.chat_id.clone(),
                    turn,
                })
                .collect();
            Ok::<_, longtrainer::Error>(Json(Messages { messages }))
        })
        .await
}

/// Renames a chat
#[utoipa::path(
    patch,
    path = "/chats/{chat_id}",
    operation_id = "rename_chat",
    tag = "chats",
    params(path::OfChat),
    request_body = RenameRequest,
    responses(
        (status = 200, description = "The chat", body = ChatRecord),
        Unknown,
        Refused,
    ),
)]
pub(crate) async fn rename(
    Scoped(state): Scoped,
    Ids(chat_id): Ids<ChatId>,
    JsonBody(request): JsonBody<RenameRequest>,
) -> Result<Json<ChatRecord>, ApiError> {
    state
        .call(move |trainer| trainer.rename_chat(&chat_id, request.title.as_deref()))
        .await
        .map(Json)
}

/// Deletes a chat with its turns
#[utoipa::path(
    delete,
    path = "/chats/{chat_id}",
    operation_id = "delete_chat",
    tag = "chats",
    params(path::OfChat),
    responses(
        (status = 200, description = "It is gone", body = Done<OfChat>),
        Unknown,
    ),
)]
pub(crate) async fn delete(
    Scoped(state): Scoped,
    Ids(chat_id): Ids<ChatId>,
) -> Result<Json<Done<OfChat>>, ApiError> {
    let id = chat_id.to_string();
    state
        .call(move |trainer| trainer.delete_chat(&chat_id))
        .await?;
    Ok(Json(Done {
        status: "deleted",
        ids: OfChat { chat_id: id },
    }))
}
