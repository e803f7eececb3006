//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::response::Response;

use super::CHAT;
use super::body::OpenAiBody;
use super::chat_reply;
use super::chat_request::{self, ChatRequest};
use super::chat_stream;
use super::description::{ChatCompletion, ChatCompletionRequest, NoModel, Refused, UnknownModel};
use super::error::OpenAiError;
use super::generation::Generation;
use super::stamp::Stamp;
use crate::content_log;
use crate::scoped::Scoped;

/// Answers in a chat, of a model or a bot
#[utoipa::path(
    post,
    path = CHAT,
    operation_id = "create_chat_completion",
    tag = "openai",
    request_body = ChatCompletionRequest,
    responses(
        (
            status = 200,
            description = "The answer; with `stream`, events in which it comes in pieces",
            content((ChatCompletion = "application/json"), (String = "text/event-stream")),
        ),
        Refused,
        UnknownModel,
        NoModel,
    ),
)]
pub(super) async fn create(
    Scoped(state): Scoped,
    body: OpenAiBody<ChatRequest>,
) -> Result<Response, OpenAiError> {
    let (manner, asked) = chat_request::check(body)?;
    let stamp = Stamp::now("chatcmpl-", &manner.model);
    let options = Arc::clone(&state.options);
    let generation = Generation::begin(&state, move |trainer| {
        let (ask, tools) = asked.read()?;
        content_log::question(&options, ask.question(), &[]);
        ask.begin(trainer, tools.as_ref())
    })
    .await?;
    match manner.stream {
        true => Ok(chat_stream::stream(stamp, manner, generation)),
        false => chat_reply::whole(stamp, manner, generation).await,
    }
}
