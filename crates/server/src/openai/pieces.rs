//! An answer in the pieces that replies and streams are made of.

use std::collections::VecDeque;

use longtrainer::{FinishReason, StreamItem, TokenChoice, Usage};

use super::call_reader::CallReader;
use super::error::OpenAiError;
use super::generation::Generation;

/// A piece of an answer.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    /// A token, before the text that it makes; only if log probabilities were asked for.
    Token(TokenChoice),
    /// A call begins.
    Call {
        call: usize,
        id: String,
        name: String,
    },
    /// More of a call's arguments.
    Arguments {
        call: usize,
        text: String,
    },
    End {
        /// In one of OpenAI's words.
        reason: &'static str,
        usage: Usage,
    },
}

/// The pieces of one answer. They end after [`Piece::End`] or the first error.
pub(super) struct Pieces {
    generation: Generation,
    calls: Option<Calls>,
    ready: VecDeque<Piece>,
}

struct Calls {
    reader: CallReader,
    /// The whole answer is a call.
    alone: bool,
}

impl Pieces {
    /// `must_call` is `None` where no function may be called.
    pub(super) fn new(generation: Generation, must_call: Option<bool>) -> Self {
        Self {
            generation,
            calls: must_call.map(|must_call| Calls {
                reader: CallReader::new(must_call),
                alone: must_call,
            }),
            ready: VecDeque::new(),
        }
    }

    /// The next piece; `None` after the end.
    pub(super) async fn next(&mut self) -> Option<Result<Piece, OpenAiError>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            match self.generation.next().await? {
                Ok(item) => self.take(item),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn take(&mut self, item: StreamItem) {
        match (item, &mut self.calls) {
            (StreamItem::Token(choice), _) => self.ready.push_back(Piece::Token(choice)),
            (StreamItem::Text(text), None) => self.ready.push_back(Piece::Text(text)),
            (StreamItem::Text(text), Some(calls)) => {
                self.ready.extend(calls.reader.read(&text, calls.alone));
            }
            (StreamItem::Done(end), calls) => {
                let mut reason = match end.finish_reason {
                    FinishReason::Stop => "stop",
                    FinishReason::Length => "length",
                };
                if let Some(calls) = calls {
                    self.ready.extend(calls.reader.finish());
                    if calls.reader.has_called() && reason == "stop" {
                        reason = "tool_calls";
                    }
                }
                let usage = end.usage;
                self.ready.push_back(Piece::End { reason, usage });
            }
        }
    }
}
