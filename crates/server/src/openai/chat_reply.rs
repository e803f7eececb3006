//! A chat completion as one JSON object.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::chat_request::Manner;
use super::error::OpenAiError;
use super::generation::Generation;
use super::grounds::GroundFields;
use super::logprobs;
use super::pieces::{Piece, Pieces};
use super::stamp::Stamp;
use super::usage;
use crate::api_error::ApiError;

#[derive(Serialize)]
struct Completion {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    choices: [Value; 1],
    usage: Value,
    #[serde(flatten)]
    grounds: Option<GroundFields>,
}

/// Waits for the end.
pub(super) async fn whole(
    stamp: Stamp,
    manner: Manner,
    generation: Generation,
) -> Result<Response, OpenAiError> {
    let grounds = generation.grounds().map(GroundFields::from);
    let mut pieces = Pieces::new(generation, manner.must_call);
    let (mut text, mut calls, mut tokens) = (String::new(), Vec::<SaidCall>::new(), Vec::new());
    while let Some(piece) = pieces.next().await {
        match piece? {
            Piece::Text(more) => text += &more,
            Piece::Token(choice) => tokens.push(choice),
            Piece::Call { id, name, .. } => calls.push(SaidCall::new(id, name)),
            Piece::Arguments { call, text } => {
                if let Some(call) = calls.get_mut(call) {
                    call.arguments += &text;
                }
            }
            Piece::End { reason, usage: end } => {
                let content = match text.is_empty() && !calls.is_empty() {
                    true => Value::Null,
                    false => text.into(),
                };
                let mut message = json!({"role": "assistant", "content": content, "refusal": null});
                if !calls.is_empty() {
                    message["tool_calls"] = calls.iter().map(SaidCall::to_json).collect();
                }
                let logprobs = manner.with_logprobs.then(|| logprobs::of_chat(&tokens));
                let choice = json!({"index": 0, "message": message, "logprobs": logprobs,
                    "finish_reason": reason});
                let completion = Completion {
                    id: stamp.id,
                    object: "chat.completion",
                    created: stamp.created,
                    model: stamp.model,
                    choices: [choice],
                    usage: usage::usage(&end),
                    grounds,
                };
                return Ok(Json(completion).into_response());
            }
        }
    }
    Err(ApiError::broke_off().into())
}

/// A call that a model has made.
struct SaidCall {
    id: String,
    name: String,
    arguments: String,
}

impl SaidCall {
    fn new(id: String, name: String) -> Self {
        Self {
            id,
            name,
            arguments: String::new(),
        }
    }

    fn to_json(&self) -> Value {
        json!({"id": self.id, "type": "function",
            "function": {"name": self.name, "arguments": self.arguments}})
    }
}
