//! OpenAI's routes, for clients that speak its API: under `/v1`, with its fields, statuses and errors.
//!
//! A model is one of the registry or a bot. A field that cannot be honoured is refused by name; the few
//! that mean nothing here stand in [`harmless`]. What is ours beside OpenAI's fields only adds: `top_k`,
//! `min_p` and `repetition_penalty` in requests, `sources`, `retrieval` and `history` in a bot's answers.

mod asking;
mod body;
mod call_reader;
mod chat;
mod chat_message;
mod chat_reply;
mod chat_request;
mod chat_stream;
mod completion_reply;
mod completions;
mod content;
mod description;
mod embeddings;
mod error;
mod error_shape;
mod format;
mod generation;
mod grounds;
mod harmless;
mod logprobs;
mod models;
mod one_or_many;
mod pictures;
mod pieces;
mod responses;
mod sampling;
mod stamp;
mod stop;
mod stream_options;
mod tools;
mod usage;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use description::OpenAiErrorBody;
pub(crate) use error_shape::{in_openais_shape, is_openais};

/// Routes whose bodies may hold pictures.
pub(crate) const BODIES_WITH_PICTURES: [&str; 2] = [CHAT, RESPONSES];

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(models::list))
        .routes(routes!(models::show))
        .routes(routes!(chat::create))
        .routes(routes!(completions::create))
        .routes(routes!(embeddings::create))
        .routes(routes!(responses::create))
}
