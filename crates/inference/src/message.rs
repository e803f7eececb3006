//! The messages of a chat, as every chat template knows them.

use longtrainer_images::Picture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that hold for the whole chat.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A function that the model has called: what came of it.
    Tool,
}

/// A function that a model may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments, an object.
    pub parameters: Value,
}

/// A call that a model has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The function.
    pub name: String,
    /// What it was called with, an object.
    pub arguments: Value,
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// What is shown with it: the model sees the pictures, in this order, before it reads the text.
    #[serde(skip)]
    pub pictures: Vec<Picture>,
    /// What the model may call from here on; those of all messages together are what it is told of. A
    /// template that knows functions puts them its own way, any other has them in the first message.
    #[serde(skip)]
    pub tools: Vec<Tool>,
    /// What the model has called with this message, which is then one of its own.
    #[serde(skip)]
    pub tool_calls: Vec<ToolCall>,
}

impl Message {
    /// A message.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            pictures: Vec::new(),
            tools: Vec::new(),
            tool_calls: Vec::new(),
        }
    }

    /// The message with pictures.
    pub fn with_pictures(self, pictures: Vec<Picture>) -> Self {
        Self { pictures, ..self }
    }

    /// The message with functions that the model may call.
    pub fn with_tools(self, tools: Vec<Tool>) -> Self {
        Self { tools, ..self }
    }

    /// The message with calls that it makes.
    pub fn with_tool_calls(self, tool_calls: Vec<ToolCall>) -> Self {
        Self { tool_calls, ..self }
    }
}
