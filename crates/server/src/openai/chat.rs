//! `POST /v1/chat/completions`.

use axum::response::Response;

use super::body::OpenAiBody;
use super::chat_reply;
use super::chat_request::{self, ChatRequest};
use super::chat_stream;
use super::error::OpenAiError;
use super::generation::Generation;
use super::stamp::Stamp;
use crate::scoped::Scoped;

pub(super) async fn create(
    Scoped(state): Scoped,
    body: OpenAiBody<ChatRequest>,
) -> Result<Response, OpenAiError> {
    let (manner, asked) = chat_request::check(body)?;
    let stamp = Stamp::now("chatcmpl-", &manner.model);
    let generation = Generation::begin(&state, move |trainer| {
        let (ask, tools) = asked.read()?;
        ask.begin(trainer, tools.as_ref())
    })
    .await?;
    match manner.stream {
        true => Ok(chat_stream::stream(stamp, manner, generation)),
        false => chat_reply::whole(stamp, manner, generation).await,
    }
}
