//! Messages in the two forms that chat templates know: content that is text, and content that is a list
//! of items.

use serde::Serialize;

use super::tools::TemplateCall;
use crate::{Message, Role, ToolCall};

/// How a template wants the content of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `"content": "…"`
    Text,
    /// `"content": [{"type": "image"}, {"type": "text", "text": "…"}]`
    Items,
}

/// A message with what is to be rendered of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) role: Role,
    /// Items of pictures before the text; only the form of items has them.
    pub(super) images: usize,
    pub(super) text: String,
    /// Calls of functions; only templates that know functions have them.
    pub(super) calls: Vec<ToolCall>,
}

/// A message as a template gets it.
#[derive(Debug, Serialize)]
pub(super) struct TemplateMessage<'turn> {
    role: Role,
    content: Content<'turn>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<TemplateCall<'turn>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'turn> {
    Text(&'turn str),
    Items(Vec<Item<'turn>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Item<'turn> {
    Image,
    Text { text: &'turn str },
}

impl Turn {
    /// A message without its pictures.
    pub(super) fn of(message: &Message) -> Self {
        Self {
            role: message.role,
            images: 0,
            text: message.content.clone(),
            calls: message.tool_calls.clone(),
        }
    }

    /// The message in a form.
    pub(super) fn in_form(&self, form: Form) -> TemplateMessage<'_> {
        let text = self.text.as_str();
        let content = match form {
            Form::Text => Content::Text(text),
            Form::Items => {
                let images = std::iter::repeat_with(|| Item::Image).take(self.images);
                Content::Items(images.chain([Item::Text { text }]).collect())
            }
        };
        TemplateMessage {
            role: self.role,
            content,
            tool_calls: self.calls.iter().map(TemplateCall::from).collect(),
        }
    }
}
