//! `POST /v1/responses`, for texts and pictures. Nothing is stored, so a response cannot be gone on with by
//! its id: the conversation comes with each request.

mod events;
mod input;
mod reply;
mod request;

use axum::response::Response;

use super::body::OpenAiBody;
use super::error::OpenAiError;
use super::generation::Generation;
use crate::scoped::Scoped;
use reply::Reply;
use request::ResponseRequest;

pub(super) async fn create(
    Scoped(state): Scoped,
    body: OpenAiBody<ResponseRequest>,
) -> Result<Response, OpenAiError> {
    let (stream, reply, asked) = request::check(body)?;
    let generation =
        Generation::begin(&state, move |trainer| asked.read()?.begin(trainer, None)).await?;
    let reply = Reply::grounded(reply, generation.grounds());
    match stream {
        true => Ok(events::stream(reply, generation)),
        false => reply::whole(reply, generation).await,
    }
}
