//! The stream of an answer: an iterator for threads and a `Stream` for tasks, over one channel.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_channel::Receiver;
use futures_core::Stream;

use crate::Result;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its message, or a stop string came.
    Stop,
    /// `max_tokens` were made.
    Length,
}

/// What an answer cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them whose keys and values were still known, and were not computed again.
    pub cached_tokens: usize,
    /// Tokens of the answer.
    pub completion_tokens: usize,
    /// Tokens that were guessed from the text so far, to be checked several at a time.
    pub drafted_tokens: usize,
    /// Those of them that were right.
    pub accepted_tokens: usize,
    /// From the request to the start of work on it.
    pub queue_time: Duration,
    /// From the request to the first token, waiting in the queue included.
    pub time_to_first_token: Duration,
    /// From the first token to the last.
    pub decode_time: Duration,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// Why.
    pub finish_reason: FinishReason,
    /// What it cost.
    pub usage: Usage,
}

/// A token and how likely the model found it in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// Its number.
    pub token: u32,
    /// The bytes that it adds to the text; a token may end inside a character.
    pub bytes: Vec<u8>,
    /// The natural logarithm of its probability: that of the softmax of the model's logits, before
    /// penalties, temperature and whatever else chose among them.
    pub logprob: f32,
}

/// A chosen token, and what could have stood in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenChoice {
    /// The token.
    pub chosen: TokenLogprob,
    /// The likeliest tokens, by falling probability; as many as were asked for.
    pub top: Vec<TokenLogprob>,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamItem {
    /// A token of the answer, before its text; only if the request asked for log probabilities.
    Token(TokenChoice),
    /// Whole UTF-8 text, never empty.
    Text(String),
    /// The end; nothing follows.
    Done(Generation),
}

/// The stream of one answer. Ends after [`StreamItem::Done`] or the first error; a stream that
/// ends without either was cut off by the engine's end. Dropping it cancels the work.
#[derive(Debug)]
pub struct TextStream {
    receiver: Pin<Box<Receiver<Result<StreamItem>>>>,
}

impl TextStream {
    /// The reading end of a channel that a model writes to.
    pub fn new(receiver: Receiver<Result<StreamItem>>) -> Self {
        Self {
            receiver: Box::pin(receiver),
        }
    }
}

impl Iterator for TextStream {
    type Item = Result<StreamItem>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.recv_blocking().ok()
    }
}

impl Stream for TextStream {
    type Item = Result<StreamItem>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.as_mut().poll_next(context)
    }
}
