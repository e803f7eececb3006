//! A response as server-sent events, in OpenAI's order: the response, its message, the message's text in
//! deltas, and then the same again as it is at the end.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_lite::stream::unfold;
use longtrainer::Usage;
use serde_json::{Value, json};

use super::reply::{Reply, part, status};
use crate::openai::generation::Generation;
use crate::openai::pieces::{Piece, Pieces};

/// The events of a response.
struct Events {
    reply: Reply,
    pieces: Pieces,
    text: String,
    /// Number of the next event.
    number: u64,
    ready: VecDeque<(&'static str, Value)>,
}

pub(super) fn stream(reply: Reply, generation: Generation) -> Response {
    let mut events = Events {
        reply,
        pieces: Pieces::new(generation, None),
        text: String::new(),
        number: 0,
        ready: VecDeque::new(),
    };
    events.begin();
    let events = unfold(events, async |mut events| {
        let (name, data) = events.next().await?;
        let event = Event::default().event(name).data(data.to_string());
        Some((Ok::<_, Infallible>(event), events))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

impl Events {
    async fn next(&mut self) -> Option<(&'static str, Value)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match self.pieces.next().await? {
                Ok(Piece::Text(text)) => self.delta(text),
                Ok(Piece::End { reason, usage }) => self.end(reason, &usage),
                Ok(Piece::Token(_) | Piece::Call { .. } | Piece::Arguments { .. }) => {}
                Err(error) => {
                    let response = self.reply.failed(&error);
                    self.push("response.failed", json!({"response": response}));
                }
            }
        }
    }

    fn begin(&mut self) {
        let response = self.reply.begun();
        self.push("response.created", json!({"response": response}));
        self.push("response.in_progress", json!({"response": response}));
        let item = self.reply.item("", "in_progress");
        self.push(
            "response.output_item.added",
            json!({"output_index": 0, "item": item}),
        );
        self.push_part("response.content_part.added", json!({"part": part("")}));
    }

    fn delta(&mut self, text: String) {
        self.text += &text;
        let fields = json!({"delta": text, "logprobs": []});
        self.push_part("response.output_text.delta", fields);
    }

    fn end(&mut self, reason: &str, usage: &Usage) {
        let text = std::mem::take(&mut self.text);
        self.push_part(
            "response.output_text.done",
            json!({"text": text, "logprobs": []}),
        );
        self.push_part("response.content_part.done", json!({"part": part(&text)}));
        let item = self.reply.item(&text, status(reason));
        self.push(
            "response.output_item.done",
            json!({"output_index": 0, "item": item}),
        );
        let name = match status(reason) {
            "incomplete" => "response.incomplete",
            _ => "response.completed",
        };
        let response = self.reply.ended(&text, reason, usage);
        self.push(name, json!({"response": response}));
    }

    /// Queues an event about the message's only part.
    fn push_part(&mut self, name: &'static str, mut fields: Value) {
        fields["item_id"] = self.reply.item_id.as_str().into();
        fields["output_index"] = 0.into();
        fields["content_index"] = 0.into();
        self.push(name, fields);
    }

    fn push(&mut self, name: &'static str, mut fields: Value) {
        fields["type"] = name.into();
        fields["sequence_number"] = self.number.into();
        self.number += 1;
        self.ready.push_back((name, fields));
    }
}
