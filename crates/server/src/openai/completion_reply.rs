//! Text completions, whole or as server-sent events. All prompts of a request are with the model at the
//! same time; what comes of them is read one after another.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::Json;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_lite::stream::unfold;
use longtrainer::{TokenChoice, Usage};
use serde_json::{Value, json};

use super::chat_stream::DONE;
use super::error::OpenAiError;
use super::generation::Generation;
use super::logprobs;
use super::pieces::{Piece, Pieces};
use super::stamp::Stamp;
use super::usage;
use crate::api_error::ApiError;

/// The answers to all prompts.
pub(super) struct Texts {
    stamp: Stamp,
    with_logprobs: bool,
    answers: VecDeque<Pieces>,
    /// Number of the prompt whose answer is read.
    index: usize,
    usages: Vec<Usage>,
    tokens: Vec<TokenChoice>,
    /// Characters of this answer's tokens that were told.
    offset: usize,
}

/// A part of an answer.
enum Part {
    Text(String),
    End(&'static str),
}

impl Texts {
    pub(super) fn new(stamp: Stamp, with_logprobs: bool, answers: Vec<Generation>) -> Self {
        let answers = answers.into_iter();
        Self {
            stamp,
            with_logprobs,
            answers: answers.map(|answer| Pieces::new(answer, None)).collect(),
            index: 0,
            usages: Vec::new(),
            tokens: Vec::new(),
            offset: 0,
        }
    }

    /// The next part of the answer that is read; `None` after the last answer.
    async fn next(&mut self) -> Option<Result<Part, OpenAiError>> {
        loop {
            match self.answers.front_mut()?.next().await {
                Some(Ok(Piece::Token(choice))) => self.tokens.push(choice),
                Some(Ok(Piece::Text(text))) => return Some(Ok(Part::Text(text))),
                Some(Ok(Piece::End { reason, usage })) => {
                    self.usages.push(usage);
                    self.answers.pop_front();
                    return Some(Ok(Part::End(reason)));
                }
                // No function is called here.
                Some(Ok(Piece::Call { .. } | Piece::Arguments { .. })) => {}
                Some(Err(error)) => {
                    self.answers.clear();
                    return Some(Err(error));
                }
                None => {
                    self.answers.clear();
                    return Some(Err(ApiError::broke_off().into()));
                }
            }
        }
    }

    fn choice(&mut self, text: &str, reason: Option<&str>) -> Value {
        let tokens = std::mem::take(&mut self.tokens);
        let logprobs = self.with_logprobs.then(|| {
            let told = logprobs::of_text(&tokens, self.offset);
            self.offset += tokens.iter().map(logprobs::characters).sum::<usize>();
            told
        });
        let index = self.index;
        if reason.is_some() {
            (self.index, self.offset) = (self.index + 1, 0);
        }
        json!({"text": text, "index": index, "logprobs": logprobs, "finish_reason": reason})
    }

    fn body(&self, choices: Value) -> Value {
        json!({
            "id": self.stamp.id,
            "object": "text_completion",
            "created": self.stamp.created,
            "model": self.stamp.model,
            "choices": choices,
        })
    }

    fn usage(&self) -> Value {
        usage::usage(&usage::sum(self.usages.iter().copied()))
    }
}

/// Waits for all ends.
pub(super) async fn whole(mut texts: Texts) -> Result<Response, OpenAiError> {
    let (mut text, mut choices) = (String::new(), Vec::new());
    while let Some(part) = texts.next().await {
        match part? {
            Part::Text(more) => text += &more,
            Part::End(reason) => {
                choices.push(texts.choice(&std::mem::take(&mut text), Some(reason)));
            }
        }
    }
    let mut body = texts.body(choices.into());
    body["usage"] = texts.usage();
    Ok(Json(body).into_response())
}

/// The answers as events, the first prompt's first.
pub(super) fn stream(texts: Texts, with_usage: bool) -> Response {
    let state = (texts, with_usage, VecDeque::new(), false);
    let events = unfold(
        state,
        async |(mut texts, with_usage, mut ready, mut ended)| {
            if ready.is_empty() && !ended {
                ended = !advance(&mut texts, with_usage, &mut ready).await;
            }
            let data: String = ready.pop_front()?;
            let event = Ok::<_, Infallible>(Event::default().data(data));
            Some((event, (texts, with_usage, ready, ended)))
        },
    );
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

/// Queues what comes next; whether more may follow.
async fn advance(texts: &mut Texts, with_usage: bool, ready: &mut VecDeque<String>) -> bool {
    let choice = match texts.next().await {
        Some(Ok(Part::Text(text))) => texts.choice(&text, None),
        Some(Ok(Part::End(reason))) => texts.choice("", Some(reason)),
        Some(Err(error)) => {
            ready.push_back(error.body().to_string());
            return false;
        }
        None => {
            if with_usage {
                let mut body = texts.body(json!([]));
                body["usage"] = texts.usage();
                ready.push_back(body.to_string());
            }
            ready.push_back(DONE.to_owned());
            return false;
        }
    };
    let mut body = texts.body(json!([choice]));
    if with_usage {
        body["usage"] = Value::Null;
    }
    ready.push_back(body.to_string());
    true
}
