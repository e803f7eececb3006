//! The messages of a chat, and what they become for a model.

use longtrainer::{Detail, Message, Role, ToolCall};
use serde::Deserialize;
use serde_json::Value;

use super::content::{Content, Look, Piece};
use super::error::OpenAiError;
use super::pictures::Pictures;

/// A message as clients send it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChatMessage {
    role: ChatRole,
    content: Option<Content<Part>>,
    /// Who speaks, among several of the same role.
    name: Option<String>,
    /// What the model said instead of an answer.
    refusal: Option<String>,
    tool_calls: Option<Vec<SentCall>>,
    tool_call_id: Option<String>,
    /// Of answers that were got from elsewhere; there is nothing in it that a model could read.
    #[serde(rename = "annotations")]
    _annotations: Option<[Value; 0]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ChatRole {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    r#type: PartKind,
    text: Option<String>,
    image_url: Option<ImageUrl>,
    refusal: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PartKind {
    Text,
    ImageUrl,
    Refusal,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageUrl {
    url: String,
    detail: Option<Look>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SentCall {
    id: String,
    r#type: FunctionWord,
    function: SentFunction,
}

/// The one kind of tool that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FunctionWord {
    Function,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SentFunction {
    name: String,
    /// A JSON object, written as text.
    arguments: String,
}

impl Part {
    fn piece(self, param: &str) -> Result<Piece, OpenAiError> {
        let missing = |field: &str| {
            let param = format!("{param}.{field}");
            let message = format!("{param}: missing");
            OpenAiError::field(param, message)
        };
        match self.r#type {
            PartKind::Text => Ok(Piece::Text(self.text.ok_or_else(|| missing("text"))?)),
            PartKind::Refusal => {
                let refusal = self.refusal.ok_or_else(|| missing("refusal"))?;
                Ok(Piece::Text(refusal))
            }
            PartKind::ImageUrl => {
                let image = self.image_url.ok_or_else(|| missing("image_url"))?;
                Ok(Piece::Picture {
                    url: image.url,
                    detail: image.detail,
                })
            }
        }
    }
}

/// The messages for a model, and how closely their pictures are looked at.
pub(super) fn messages(
    sent: Vec<ChatMessage>,
) -> Result<(Vec<Message>, Option<Detail>), OpenAiError> {
    let mut pictures = Pictures::default();
    let mut called: Vec<String> = Vec::new();
    let mut messages = Vec::with_capacity(sent.len());
    for (number, message) in sent.into_iter().enumerate() {
        let param = format!("messages[{number}]");
        message.check(&param, &called)?;
        let calls = message.tool_calls.iter().flatten();
        called.extend(calls.map(|call| call.id.clone()));
        messages.push(message.read(&param, &mut pictures)?);
    }
    if messages.is_empty() {
        let message = "messages: there must be at least one";
        return Err(OpenAiError::field("messages", message));
    }
    Ok((messages, pictures.detail()?))
}

impl ChatMessage {
    /// Refuses what makes no sense in a message of its role.
    fn check(&self, param: &str, called: &[String]) -> Result<(), OpenAiError> {
        let wrong = |field: &str, problem: &str| {
            let param = format!("{param}.{field}");
            let message = format!("{param}: {problem}");
            Err(OpenAiError::field(param, message))
        };
        let is_assistant = self.role == ChatRole::Assistant;
        if self.tool_calls.is_some() && !is_assistant {
            return wrong("tool_calls", "only messages of the assistant have them");
        }
        if self.refusal.is_some() && !is_assistant {
            return wrong("refusal", "only messages of the assistant have one");
        }
        match (&self.tool_call_id, self.role == ChatRole::Tool) {
            (None, true) => return wrong("tool_call_id", "missing"),
            (Some(_), false) => return wrong("tool_call_id", "only messages of tools have one"),
            (Some(id), true) if !called.contains(id) => {
                return wrong(
                    "tool_call_id",
                    "no message before it makes a call of this id",
                );
            }
            _ => {}
        }
        let says_nothing =
            self.content.is_none() && self.refusal.is_none() && self.tool_calls.is_none();
        match says_nothing {
            true => wrong("content", "missing"),
            false => Ok(()),
        }
    }

    fn read(self, param: &str, pictures: &mut Pictures) -> Result<Message, OpenAiError> {
        let role = match self.role {
            ChatRole::System | ChatRole::Developer => Role::System,
            ChatRole::User => Role::User,
            ChatRole::Assistant => Role::Assistant,
            ChatRole::Tool => Role::Tool,
        };
        let param = format!("{param}.content");
        let pieces = match self.content {
            None => Vec::new(),
            Some(Content::Text(text)) => vec![Piece::Text(text)],
            Some(Content::Parts(parts)) => parts
                .into_iter()
                .enumerate()
                .map(|(number, part)| part.piece(&format!("{param}[{number}]")))
                .collect::<Result<_, _>>()?,
        };
        let refusal = self.refusal.map(Piece::Text);
        let mut message = read_pieces(
            role,
            pieces.into_iter().chain(refusal).collect(),
            &param,
            pictures,
        )?;
        if let Some(name) = &self.name {
            message.content = format!("{name}: {}", message.content);
        }
        let calls = self.tool_calls.unwrap_or_default().into_iter();
        message.tool_calls = calls.map(SentCall::read).collect::<Result<_, _>>()?;
        Ok(message)
    }
}

/// A message of texts and pictures; only a person shows pictures.
pub(super) fn read_pieces(
    role: Role,
    pieces: Vec<Piece>,
    param: &str,
    pictures: &mut Pictures,
) -> Result<Message, OpenAiError> {
    let (mut texts, mut shown) = (Vec::new(), Vec::new());
    for (number, piece) in pieces.into_iter().enumerate() {
        match piece {
            Piece::Text(text) => texts.push(text),
            Piece::Picture { url, detail } if role == Role::User => {
                let param = format!("{param}[{number}].image_url");
                shown.push(pictures.read(url, detail, shown.len() + 1, &param)?);
            }
            Piece::Picture { .. } => {
                let message = format!("{param}[{number}]: only messages of the user have pictures");
                return Err(OpenAiError::field(format!("{param}[{number}]"), message));
            }
        }
    }
    Ok(Message::new(role, texts.join("\n")).with_pictures(shown))
}

impl SentCall {
    fn read(self) -> Result<ToolCall, OpenAiError> {
        let FunctionWord::Function = self.r#type;
        let arguments = serde_json::from_str::<Value>(&self.function.arguments)
            .ok()
            .filter(Value::is_object);
        let arguments = arguments.ok_or_else(|| {
            let message = format!("the arguments of the call {} are no JSON object", self.id);
            OpenAiError::field("messages", message)
        })?;
        Ok(ToolCall {
            name: self.function.name,
            arguments,
        })
    }
}
