//! `POST /v1/responses`, for texts and pictures. Nothing is stored, so a response cannot be gone on with by
//! its id: the conversation comes with each request.

mod events;
mod input;
mod reply;
mod request;

use std::sync::Arc;

use axum::response::Response;

use super::RESPONSES;
use super::body::OpenAiBody;
use super::description::{NoModel, Refused, ResponseBody, ResponseObject, UnknownModel};
use super::error::OpenAiError;
use super::generation::Generation;
use crate::content_log;
use crate::scoped::Scoped;
use reply::Reply;
use request::ResponseRequest;

/// Answers in a conversation that comes whole with each request
#[utoipa::path(
    post,
    path = RESPONSES,
    operation_id = "create_response",
    tag = "openai",
    request_body = ResponseBody,
    responses(
        (
            status = 200,
            description = "The answer; with `stream`, events in which it comes in pieces",
            content((ResponseObject = "application/json"), (String = "text/event-stream")),
        ),
        Refused,
        UnknownModel,
        NoModel,
    ),
)]
pub(super) async fn create(
    Scoped(state): Scoped,
    body: OpenAiBody<ResponseRequest>,
) -> Result<Response, OpenAiError> {
    let (stream, reply, asked) = request::check(body)?;
    let options = Arc::clone(&state.options);
    let generation = Generation::begin(&state, move |trainer| {
        let ask = asked.read()?;
        content_log::question(&options, ask.question(), &[]);
        ask.begin(trainer, None)
    })
    .await?;
    let reply = Reply::grounded(reply, generation.grounds());
    match stream {
        true => Ok(events::stream(reply, generation)),
        false => reply::whole(reply, generation).await,
    }
}
