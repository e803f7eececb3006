//! What a text model is asked for.

use std::sync::Arc;

use longtrainer_images::Detail;
use serde_json::Value;

use crate::{Adapter, Message, Sampling};

/// A request for an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// The chat so far; the answer is the assistant's next message.
    pub messages: Vec<Message>,
    /// Text to go on with, as it stands and without a template, instead of `messages`, which are then
    /// left out.
    pub text: Option<RawText>,
    /// How closely the pictures of the messages are looked at; `None` is what suits the device.
    pub detail: Option<Detail>,
    /// What changes the model for this request.
    pub adapter: Option<Adapter>,
    /// Who shares what the model has read: a prompt takes the work over that prompts of the same scope
    /// have left behind, and that of no others. So nobody of one scope learns from how soon an answer
    /// begins what somebody of another has asked. `None` is a scope like any other.
    pub cache_scope: Option<Arc<str>>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens in the answer.
    pub max_tokens: usize,
    /// The answer ends before the first of these.
    pub stop: Vec<String>,
    /// The answer ends before the first of these tokens, as it does before the model's own end.
    pub stop_tokens: Vec<u32>,
    /// The shape that the answer must have.
    pub grammar: Option<Grammar>,
    /// With a number, each token is reported with its log probability and those of so many of the
    /// likeliest tokens in its place: [`StreamItem::Token`](crate::StreamItem::Token).
    pub top_logprobs: Option<usize>,
}

impl GenerateRequest {
    /// A greedy continuation of a text by at most `max_tokens` tokens.
    pub fn of_text(text: RawText, max_tokens: usize) -> Self {
        Self {
            text: Some(text),
            ..Self::new(Vec::new(), max_tokens)
        }
    }

    /// A greedy answer of at most `max_tokens` tokens.
    pub fn new(messages: Vec<Message>, max_tokens: usize) -> Self {
        Self {
            messages,
            text: None,
            detail: None,
            adapter: None,
            cache_scope: None,
            sampling: Sampling::default(),
            max_tokens,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
            grammar: None,
            top_logprobs: None,
        }
    }
}

/// The shape of an answer. Tokens that would leave it are never chosen, so a whole answer has it; one
/// that ends for its length may be the beginning of one. JSON is brought to its end in time where
/// the tokens are enough for what the schema requires.
#[derive(Debug, Clone, PartialEq)]
pub enum Grammar {
    /// A JSON value that a JSON Schema (draft 2020-12) allows.
    JsonSchema(Value),
    /// Text that a regular expression matches as a whole.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A context-free grammar in the syntax of Lark, with the terminals and the start rule `start`.
    Lark(String),
    /// Any text, behind which one JSON value or more may stand, each between two marks.
    Tagged(Tagged),
}

/// Text that may go over into values: how a model says something and then calls functions.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged {
    /// Stands before a value. Once it is there, a value must follow.
    pub open: String,
    /// Stands behind a value.
    pub close: String,
    /// JSON Schema of a value.
    pub schema: Value,
    /// Whether a line break and another value may follow a value.
    pub many: bool,
}

/// Text that goes to a model as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawText {
    /// Text, in which the texts of control tokens are those tokens.
    Text(String),
    /// Tokens of the model's own vocabulary; nothing is put before them.
    Tokens(Vec<u32>),
}
