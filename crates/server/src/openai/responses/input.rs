//! The input of a response: a text, or items that are messages.

use longtrainer::{Detail, Message, Role};
use serde::Deserialize;
use serde_json::Value;

use crate::openai::chat_message::read_pieces;
use crate::openai::content::{Content, Look, Piece};
use crate::openai::error::OpenAiError;
use crate::openai::pictures::Pictures;

pub(super) type Input = Content<Item>;

/// A message, as sent or as an earlier response had it among its output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::openai) struct Item {
    #[serde(rename = "type")]
    kind: Option<ItemKind>,
    role: ItemRole,
    content: Content<Part>,
    /// What an earlier response called it; nothing is stored, so nothing is looked up by it.
    #[serde(rename = "id")]
    _id: Option<String>,
    #[serde(rename = "status")]
    _status: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ItemKind {
    Message,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ItemRole {
    System,
    Developer,
    User,
    Assistant,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Part {
    InputText {
        text: String,
    },
    InputImage {
        image_url: String,
        detail: Option<Look>,
    },
    OutputText {
        text: String,
        #[serde(rename = "annotations")]
        _annotations: Option<[Value; 0]>,
        /// Of the answer that it was; no model reads them.
        #[serde(rename = "logprobs")]
        _logprobs: Option<Vec<Value>>,
    },
    Refusal {
        refusal: String,
    },
}

/// The messages for a model, the instructions first, and how closely their pictures are looked at.
pub(super) fn messages(
    instructions: Option<String>,
    input: Input,
) -> Result<(Vec<Message>, Option<Detail>), OpenAiError> {
    let mut pictures = Pictures::default();
    let mut messages: Vec<Message> = instructions
        .into_iter()
        .map(|text| Message::new(Role::System, text))
        .collect();
    match input {
        Content::Text(text) => messages.push(Message::new(Role::User, text)),
        Content::Parts(items) if items.is_empty() => {
            return Err(OpenAiError::field(
                "input",
                "input: there must be a message",
            ));
        }
        Content::Parts(items) => {
            for (number, item) in items.into_iter().enumerate() {
                let param = format!("input[{number}].content");
                messages.push(item.read(&param, &mut pictures)?);
            }
        }
    }
    Ok((messages, pictures.detail()?))
}

impl Item {
    fn read(self, param: &str, pictures: &mut Pictures) -> Result<Message, OpenAiError> {
        let (Some(ItemKind::Message) | None) = self.kind;
        let role = match self.role {
            ItemRole::System | ItemRole::Developer => Role::System,
            ItemRole::User => Role::User,
            ItemRole::Assistant => Role::Assistant,
        };
        let pieces = match self.content {
            Content::Text(text) => vec![Piece::Text(text)],
            Content::Parts(parts) => parts.into_iter().map(Piece::from).collect(),
        };
        read_pieces(role, pieces, param, pictures)
    }
}

impl From<Part> for Piece {
    fn from(part: Part) -> Self {
        match part {
            Part::InputText { text } | Part::OutputText { text, .. } => Self::Text(text),
            Part::Refusal { refusal } => Self::Text(refusal),
            Part::InputImage { image_url, detail } => Self::Picture {
                url: image_url,
                detail,
            },
        }
    }
}
