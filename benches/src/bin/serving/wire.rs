//! What goes over the connection: the part of OpenAI's chat completions that the comparison needs,
//! always streamed.

use std::collections::BTreeMap;
use std::error::Error as _;

use axum::Json;
use axum::http::StatusCode;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use longtrainer_inference::{
    Error, FinishReason, GenerateRequest, Generation, Message, Sampling, StreamItem,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// A question. Fields that it does not know are refused: a figure must not come from a request that
/// was only half understood.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChatRequest {
    messages: Vec<Message>,
    max_tokens: usize,
    #[serde(default)]
    temperature: f32,
    seed: Option<u64>,
    #[serde(default)]
    logit_bias: BTreeMap<u32, f32>,
    #[serde(default)]
    stop: Vec<String>,
}

impl From<ChatRequest> for GenerateRequest {
    fn from(asked: ChatRequest) -> Self {
        Self {
            sampling: Sampling {
                temperature: asked.temperature,
                seed: asked.seed,
                logit_bias: asked.logit_bias.into_iter().collect(),
                ..Sampling::default()
            },
            stop: asked.stop,
            ..Self::new(asked.messages, asked.max_tokens)
        }
    }
}

/// A request that cannot be served.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::QueueFull { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Error::EngineStopped { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            message: with_sources(&error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": {"message": self.message}});
        (self.status, Json(body)).into_response()
    }
}

/// What is sent for a piece of an answer.
pub(crate) fn event(item: Result<StreamItem, Error>) -> Option<Result<Event, axum::Error>> {
    let data = match item {
        Ok(StreamItem::Token(_)) => return None,
        Ok(StreamItem::Text(text)) => choice(json!({"content": text}), Value::Null),
        Ok(StreamItem::Done(generation)) => end(&generation),
        Err(error) => json!({"error": {"message": with_sources(&error)}}),
    };
    Some(Event::default().json_data(data))
}

fn end(generation: &Generation) -> Value {
    let reason = match generation.finish_reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    };
    let usage = generation.usage;
    let mut data = choice(json!({}), json!(reason));
    data["usage"] = json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "drafted_tokens": usage.drafted_tokens,
        "accepted_tokens": usage.accepted_tokens,
        "queue_seconds": usage.queue_time.as_secs_f64(),
    });
    data
}

fn choice(delta: Value, finish_reason: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})
}

fn with_sources(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
