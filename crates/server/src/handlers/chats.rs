//! Text chats: made, listed, searched, asked, read, exported, renamed, deleted.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use longtrainer::{Answer, BotId, ChatId, ChatKind, ChatRecord, ChatSearch};

use crate::answer::AnswerStream;
use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::chat_types::{ChatsOfBot, ChatsQuery, ExportQuery, SearchChatsQuery};
use crate::export;
use crate::ids::Ids;
use crate::query::QueryOf;
use crate::scoped::Scoped;
use crate::stream::{Form, events, plain_text};
use crate::types::{
    AnswerBody, Done, Message, Messages, NoFields, OfChat, OrderQuery, Question, RenameRequest,
};

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

/// The turns of a bot's chats that have all words of `q`.
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

/// All chats of a bot as a file.
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

/// One chat as a file.
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

/// Answers a question, whole or in pieces. A client that leaves stops the model, whichever it is.
pub(crate) async fn ask(
    Scoped(state): Scoped,
    Ids((bot_id, chat_id)): Ids<(BotId, ChatId)>,
    headers: HeaderMap,
    JsonBody(question): JsonBody<Question>,
) -> Result<Response, ApiError> {
    let form = Form::wanted(question.stream, &headers);
    question.check(form)?;
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
    match answer {
        Ok(answer) => Ok(Json(AnswerBody::from(answer)).into_response()),
        Err(error) => {
            let body = error.into_unstructured()?;
            Ok(Json(body).into_response())
        }
    }
}

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
