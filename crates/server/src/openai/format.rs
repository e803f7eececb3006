//! The shape that the text of an answer must have.

use longtrainer::{Grammar, Message, Role};
use serde::Deserialize;
use serde_json::{Value, json};

/// `response_format` of a chat.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ResponseFormat {
    Text {},
    JsonObject {},
    JsonSchema { json_schema: NamedSchema },
}

/// `text.format` of a response: the same, flat.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum TextFormat {
    Text {},
    JsonObject {},
    JsonSchema {
        name: String,
        description: Option<String>,
        schema: Value,
        strict: Option<bool>,
    },
}

/// A schema with what a model may be told of it. Answers keep to it whether it is `strict` or not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedSchema {
    name: String,
    description: Option<String>,
    schema: Value,
    #[serde(rename = "strict")]
    _strict: Option<bool>,
}

/// The JSON that an answer must be.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// The schema; of `json_object` any object.
    pub(super) schema: Value,
    /// The field that asks for it.
    pub(super) param: &'static str,
    /// What the schema is called and is for, if it has a name.
    title: Option<String>,
}

impl ResponseFormat {
    pub(super) fn shape(self) -> Option<Shape> {
        match self {
            Self::Text {} => None,
            Self::JsonObject {} => Some(Shape::any_object("response_format")),
            Self::JsonSchema { json_schema: named } => Some(Shape {
                schema: named.schema,
                param: "response_format",
                title: Some(title(&named.name, named.description)),
            }),
        }
    }
}

impl TextFormat {
    /// The shape, and the format as a response tells it.
    pub(super) fn shape(self) -> (Option<Shape>, Value) {
        match self {
            Self::Text {} => (None, json!({"type": "text"})),
            Self::JsonObject {} => (
                Some(Shape::any_object("text.format")),
                json!({"type": "json_object"}),
            ),
            Self::JsonSchema {
                name,
                description,
                schema,
                strict,
            } => {
                let told = json!({"type": "json_schema", "name": name, "description": description,
                    "schema": schema, "strict": strict.unwrap_or(true)});
                let shape = Shape {
                    schema,
                    param: "text.format",
                    title: Some(title(&name, description)),
                };
                (Some(shape), told)
            }
        }
    }
}

impl Shape {
    fn any_object(param: &'static str) -> Self {
        Self {
            schema: json!({"type": "object"}),
            param,
            title: None,
        }
    }

    pub(super) fn grammar(&self) -> Grammar {
        Grammar::JsonSchema(self.schema.clone())
    }

    /// Tells the model of it with the last thing that a person said: keeping alone makes a small model
    /// fill the right shape with nonsense.
    pub(super) fn instruct(&self, messages: &mut [Message]) {
        let asked = messages
            .iter_mut()
            .rev()
            .find(|message| message.role == Role::User);
        if let Some(message) = asked {
            message.content += &match &self.title {
                Some(title) => format!(
                    "\n\nAnswer with JSON of this schema, {title}, and nothing else: {}",
                    self.schema
                ),
                None => "\n\nAnswer with a JSON object and nothing else.".to_owned(),
            };
        }
    }
}

/// What a model is told of a schema.
fn title(name: &str, description: Option<String>) -> String {
    match description {
        Some(description) => format!("{name} ({description})"),
        None => name.to_owned(),
    }
}
