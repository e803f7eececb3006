//! Answers in pieces: plain chunks of text for the documented clients, events for those that ask.
//!
//! Plain text has no place for an error. One that comes before the first piece is answered as an
//! error; a later one breaks the connection off, so that no client takes half an answer for a
//! whole one. Events tell it: `sources`, then `token`s, then `usage` and `done`, or `error`. A comment
//! every 15 seconds keeps a connection alive on which nothing is said.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_lite::stream::unfold;
use longtrainer::{Answer, Chunk};
use serde::Serialize;

use crate::answer::AnswerStream;
use crate::api_error::ApiError;
use crate::types::{ErrorEvent, SourcesEvent, TokenEvent, UsageBody, passages};

/// How an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As one JSON object.
    Whole,
    /// As chunks of plain text.
    PlainText,
    /// As server-sent events.
    Events,
}

impl Form {
    /// What the client asks for: `Accept: text/event-stream` is asking for a stream, too.
    pub(crate) fn wanted(stream: bool, headers: &HeaderMap) -> Self {
        let accepts_events = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|range| range.split(';').next())
            .any(|range| range.trim().eq_ignore_ascii_case("text/event-stream"));
        match (accepts_events, stream) {
            (true, _) => Self::Events,
            (false, true) => Self::PlainText,
            (false, false) => Self::Whole,
        }
    }
}

/// The answer as chunks of plain text, once its first piece is there.
pub(crate) async fn plain_text(mut answer: AnswerStream) -> Result<Response, ApiError> {
    let first = next_text(&mut answer).await.transpose()?;
    let rest = unfold(answer, async |mut answer| {
        Some((next_text(&mut answer).await?, answer))
    });
    let pieces = futures_lite::StreamExt::chain(futures_lite::stream::iter(first.map(Ok)), rest);
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// The next piece of text; `None` at the end.
async fn next_text(answer: &mut AnswerStream) -> Option<Result<Bytes, ApiError>> {
    loop {
        match answer.next().await? {
            Ok(Chunk::Text(text)) => return Some(Ok(text.into())),
            Ok(Chunk::Sources(_)) => {}
            Ok(Chunk::Done(_)) => return None,
            Err(error) => return Some(Err(error)),
        }
    }
}

/// The answer as server-sent events, the last of which has it whole, as a `B`.
pub(crate) fn events<B: From<Answer> + Serialize>(answer: AnswerStream) -> Response {
    let told = Telling { answer, last: None };
    let events = unfold(told, async |mut told| {
        let event = told.next::<B>().await?;
        Some((Ok::<_, Infallible>(event), told))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

/// An answer that is told in events.
struct Telling {
    answer: AnswerStream,
    /// What comes after the usage.
    last: Option<Event>,
}

impl Telling {
    /// The next event; `None` after `done` or `error`.
    async fn next<B: From<Answer> + Serialize>(&mut self) -> Option<Event> {
        if let Some(event) = self.last.take() {
            return Some(event);
        }
        Some(match self.answer.next().await? {
            Ok(Chunk::Sources(found)) => named(
                "sources",
                &SourcesEvent {
                    sources: passages(found),
                },
            ),
            Ok(Chunk::Text(text)) => named("token", &TokenEvent { text }),
            Ok(Chunk::Done(answer)) => {
                let usage = UsageBody::from(answer.usage);
                self.last = Some(named("done", &B::from(*answer)));
                named("usage", &usage)
            }
            Err(error) => named("error", &ErrorEvent::from(&error)),
        })
    }
}

fn named(name: &'static str, data: &impl Serialize) -> Event {
    match Event::default().event(name).json_data(data) {
        Ok(event) => event,
        Err(error) => Event::default().event("error").data(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(stream: bool, accept: &str) -> Form {
        let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
        Form::wanted(stream, &headers)
    }

    #[test]
    fn events_are_for_those_who_accept_them() {
        assert_eq!(
            wanted(false, "application/json, text/event-stream;q=0.9"),
            Form::Events
        );
        assert_eq!(wanted(true, "Text/Event-Stream"), Form::Events);
        assert_eq!(wanted(true, "*/*"), Form::PlainText);
        assert_eq!(wanted(false, "text/event-streams"), Form::Whole);
    }
}
