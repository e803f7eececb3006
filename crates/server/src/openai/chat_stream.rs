//! A chat completion as server-sent events: the role, then pieces, then why it ended, then the usage if it
//! is wanted, then `[DONE]`.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_lite::stream::unfold;
use longtrainer::TokenChoice;
use serde_json::{Value, json};

use super::chat_request::Manner;
use super::generation::Generation;
use super::grounds::GroundFields;
use super::logprobs;
use super::pieces::{Piece, Pieces};
use super::stamp::Stamp;
use super::usage;

/// The end of every stream.
pub(super) const DONE: &str = "[DONE]";

/// The events of an answer.
struct ChatStream {
    stamp: Stamp,
    manner: Manner,
    pieces: Pieces,
    grounds: Option<GroundFields>,
    /// Tokens whose text has not come yet.
    tokens: Vec<TokenChoice>,
    ready: VecDeque<String>,
}

pub(super) fn stream(stamp: Stamp, manner: Manner, generation: Generation) -> Response {
    let grounds = generation.grounds().map(GroundFields::from);
    let mut chat = ChatStream {
        pieces: Pieces::new(generation, manner.must_call),
        stamp,
        manner,
        grounds,
        tokens: Vec::new(),
        ready: VecDeque::new(),
    };
    chat.begin();
    let events = unfold(chat, async |mut chat| {
        let data = chat.next().await?;
        Some((Ok::<_, Infallible>(Event::default().data(data)), chat))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

impl ChatStream {
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Some(data);
            }
            match self.pieces.next().await? {
                Ok(piece) => self.take(piece),
                // Nothing follows, so that nobody takes half an answer for a whole one.
                Err(error) => return Some(error.body().to_string()),
            }
        }
    }

    fn begin(&mut self) {
        let content = match self.manner.must_call {
            Some(true) => Value::Null,
            _ => "".into(),
        };
        let delta = json!({"role": "assistant", "content": content, "refusal": null});
        self.choice(delta, None);
    }

    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Token(choice) => self.tokens.push(choice),
            Piece::Text(text) => self.choice(json!({"content": text}), None),
            Piece::Call { call, id, name } => {
                let call = json!({"index": call, "id": id, "type": "function",
                    "function": {"name": name, "arguments": ""}});
                self.choice(json!({"tool_calls": [call]}), None);
            }
            Piece::Arguments { call, text } => {
                let call = json!({"index": call, "function": {"arguments": text}});
                self.choice(json!({"tool_calls": [call]}), None);
            }
            Piece::End { reason, usage: end } => {
                self.choice(json!({}), Some(reason));
                if self.manner.with_usage {
                    let mut chunk = self.chunk(json!([]));
                    chunk["usage"] = usage::usage(&end);
                    self.ready.push_back(chunk.to_string());
                }
                self.ready.push_back(DONE.to_owned());
            }
        }
    }

    /// Queues a chunk with a choice; the last one has the grounds.
    fn choice(&mut self, delta: Value, reason: Option<&str>) {
        let tokens = std::mem::take(&mut self.tokens);
        let with_logprobs = self.manner.with_logprobs && !tokens.is_empty();
        let logprobs = with_logprobs.then(|| logprobs::of_chat(&tokens));
        let choice =
            json!({"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason});
        let mut chunk = self.chunk(json!([choice]));
        if reason.is_some()
            && let Some(grounds) = self.grounds.take()
            && let Ok(Value::Object(fields)) = serde_json::to_value(grounds)
            && let Some(members) = chunk.as_object_mut()
        {
            members.extend(fields);
        }
        self.ready.push_back(chunk.to_string());
    }

    fn chunk(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": self.stamp.id,
            "object": "chat.completion.chunk",
            "created": self.stamp.created,
            "model": self.stamp.model,
            "choices": choices,
        });
        if self.manner.with_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}
