//! A response as one JSON object, at its beginning and at its end.

use axum::Json;
use axum::response::{IntoResponse, Response};
use longtrainer::{Grounds, Usage};
use serde_json::{Map, Value, json};

use crate::api_error::ApiError;
use crate::openai::error::OpenAiError;
use crate::openai::generation::Generation;
use crate::openai::grounds::GroundFields;
use crate::openai::pieces::{Piece, Pieces};
use crate::openai::stamp::{self, Stamp};
use crate::openai::usage;

/// What a response says of its request.
pub(super) struct Told {
    pub(super) stamp: Stamp,
    pub(super) instructions: Option<String>,
    pub(super) max_output_tokens: Option<usize>,
    pub(super) metadata: Map<String, Value>,
    pub(super) parallel_tool_calls: bool,
    pub(super) temperature: Option<f32>,
    pub(super) top_p: Option<f32>,
    pub(super) format: Value,
}

/// A response on its way.
pub(super) struct Reply {
    told: Told,
    grounds: Option<GroundFields>,
    /// The id of the one message that it has.
    pub(super) item_id: String,
}

impl Reply {
    pub(super) fn grounded(told: Told, grounds: Option<Grounds>) -> Self {
        Self {
            told,
            grounds: grounds.map(GroundFields::from),
            item_id: stamp::id("msg_"),
        }
    }

    /// Before there is an answer.
    pub(super) fn begun(&self) -> Value {
        self.body("in_progress", json!([]), Value::Null)
    }

    /// With the whole answer.
    pub(super) fn ended(&mut self, text: &str, reason: &str, cost: &Usage) -> Value {
        let status = status(reason);
        let output = json!([self.item(text, status)]);
        let mut body = self.body(status, output, usage::of_response(cost));
        if status == "incomplete" {
            body["incomplete_details"] = json!({"reason": "max_output_tokens"});
        } else {
            body["completed_at"] = stamp::seconds(std::time::SystemTime::now()).into();
        }
        if let Some(grounds) = self.grounds.take()
            && let Ok(Value::Object(fields)) = serde_json::to_value(grounds)
            && let Some(members) = body.as_object_mut()
        {
            members.extend(fields);
        }
        body
    }

    /// With the error that ended it.
    pub(super) fn failed(&self, error: &OpenAiError) -> Value {
        let mut body = self.body("failed", json!([]), Value::Null);
        body["error"] = json!({"code": "server_error", "message": error.message()});
        body
    }

    /// The message that is the answer.
    pub(super) fn item(&self, text: &str, status: &str) -> Value {
        let content = match status {
            "in_progress" => json!([]),
            _ => json!([part(text)]),
        };
        json!({"id": self.item_id, "type": "message", "status": status, "role": "assistant",
            "content": content})
    }

    fn body(&self, status: &str, output: Value, usage: Value) -> Value {
        let told = &self.told;
        json!({
            "id": told.stamp.id,
            "object": "response",
            "created_at": told.stamp.created,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": null,
            "instructions": told.instructions,
            "max_output_tokens": told.max_output_tokens,
            "metadata": told.metadata,
            "model": told.stamp.model,
            "output": output,
            "parallel_tool_calls": told.parallel_tool_calls,
            "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null},
            "store": false,
            "temperature": told.temperature,
            "text": {"format": told.format},
            "tool_choice": "auto",
            "tools": [],
            "top_p": told.top_p,
            "truncation": "disabled",
            "usage": usage,
        })
    }
}

/// The state of a response that ended for a reason.
pub(super) fn status(reason: &str) -> &'static str {
    match reason {
        "length" => "incomplete",
        _ => "completed",
    }
}

/// The text of a message.
pub(super) fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// Waits for the end.
pub(super) async fn whole(
    mut reply: Reply,
    generation: Generation,
) -> Result<Response, OpenAiError> {
    let mut pieces = Pieces::new(generation, None);
    let mut text = String::new();
    while let Some(piece) = pieces.next().await {
        match piece? {
            Piece::Text(more) => text += &more,
            Piece::End { reason, usage } => {
                return Ok(Json(reply.ended(&text, reason, &usage)).into_response());
            }
            // Neither log probabilities nor calls are asked for here.
            Piece::Token(_) | Piece::Call { .. } | Piece::Arguments { .. } => {}
        }
    }
    Err(ApiError::broke_off().into())
}
