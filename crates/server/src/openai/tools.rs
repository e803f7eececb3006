//! Functions that a model may or must call.
//!
//! A call is JSON of a schema: one alternative a function, its arguments as the function's own schema has
//! them. Where a function must be called, the answer is one such value. Where it may be, the answer is
//! text that may go over into calls between `<tool_call>` and `</tool_call>`, the form that the prompt
//! tells of.

use longtrainer::{Grammar, Message, Tagged, Tool};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::chat_message::FunctionWord;
use super::error::OpenAiError;

pub(super) const OPEN: &str = "<tool_call>";
pub(super) const CLOSE: &str = "</tool_call>";

/// Most functions of a request, as with OpenAI.
const MOST: usize = 128;
/// Most characters of a function's name, as with OpenAI.
const LONGEST_NAME: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SentTool {
    r#type: FunctionWord,
    function: SentFunction,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SentFunction {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    /// Arguments keep to the schema in any case.
    #[serde(rename = "strict")]
    _strict: Option<bool>,
}

/// `tool_choice`.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected none, auto, required, or {\"type\": \"function\", \"function\": {\"name\": ...}}"
)]
pub(super) enum ToolChoice {
    Word(ChoiceWord),
    Named(NamedChoice),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ChoiceWord {
    None,
    Auto,
    Required,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedChoice {
    #[serde(rename = "type")]
    _type: FunctionWord,
    function: FunctionName,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionName {
    name: String,
}

/// What a model may call, and whether it must.
#[derive(Debug)]
pub(super) struct Tools {
    tools: Vec<Tool>,
    pub(super) must_call: bool,
    many: bool,
}

impl Tools {
    /// Checks the tools of a request; `None` if none may be called.
    pub(super) fn of(
        sent: Option<Vec<SentTool>>,
        choice: Option<ToolChoice>,
        parallel: Option<bool>,
    ) -> Result<Option<Self>, OpenAiError> {
        let sent = sent.unwrap_or_default();
        if sent.is_empty() {
            return match choice {
                None | Some(ToolChoice::Word(ChoiceWord::None | ChoiceWord::Auto)) => Ok(None),
                Some(_) => {
                    let message = "tool_choice: there are no tools to choose from";
                    Err(OpenAiError::field("tool_choice", message))
                }
            };
        }
        let mut tools = checked(sent)?;
        let must_call = match choice {
            None | Some(ToolChoice::Word(ChoiceWord::Auto)) => false,
            Some(ToolChoice::Word(ChoiceWord::None)) => return Ok(None),
            Some(ToolChoice::Word(ChoiceWord::Required)) => true,
            Some(ToolChoice::Named(named)) => {
                tools.retain(|tool| tool.name == named.function.name);
                if tools.is_empty() {
                    let message = format!(
                        "tool_choice: {:?} is none of the tools",
                        named.function.name
                    );
                    return Err(OpenAiError::field("tool_choice", message));
                }
                true
            }
        };
        Ok(Some(Self {
            tools,
            must_call,
            many: parallel.unwrap_or(true),
        }))
    }

    /// Has the model told of them.
    pub(super) fn tell(&self, messages: &mut [Message]) {
        if let Some(first) = messages.first_mut() {
            first.tools.clone_from(&self.tools);
        }
    }

    /// What keeps the answer in the form of calls.
    pub(super) fn grammar(&self) -> Grammar {
        match self.must_call {
            true => Grammar::JsonSchema(self.schema()),
            false => Grammar::Tagged(Tagged {
                open: OPEN.to_owned(),
                close: CLOSE.to_owned(),
                schema: self.schema(),
                many: self.many,
            }),
        }
    }

    /// A call of any of them.
    fn schema(&self) -> Value {
        let mut definitions = Map::new();
        let mut calls = Vec::new();
        for (number, tool) in self.tools.iter().enumerate() {
            let place = format!("tool_{number}");
            let reference = format!("#/$defs/{place}");
            calls.push(json!({
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": {"$ref": reference}},
                "required": ["name", "arguments"],
                "additionalProperties": false,
            }));
            let mut parameters = tool.parameters.clone();
            move_references(&mut parameters, &reference);
            definitions.insert(place, parameters);
        }
        let mut schema = match calls.len() {
            1 => calls.remove(0),
            _ => json!({"anyOf": calls}),
        };
        schema["$defs"] = Value::Object(definitions);
        schema
    }
}

/// References within a schema that has become part of another one.
fn move_references(schema: &mut Value, place: &str) {
    match schema {
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| move_references(value, place)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(reference) if name == "$ref" => {
                        if let Some(rest) = reference.strip_prefix('#') {
                            *reference = format!("{place}{rest}");
                        }
                    }
                    value => move_references(value, place),
                }
            }
        }
        _ => {}
    }
}

fn checked(sent: Vec<SentTool>) -> Result<Vec<Tool>, OpenAiError> {
    if sent.len() > MOST {
        let message = format!(
            "tools: {} of them, but at most {MOST} are taken",
            sent.len()
        );
        return Err(OpenAiError::field("tools", message));
    }
    let mut tools: Vec<Tool> = Vec::with_capacity(sent.len());
    for (number, SentTool { r#type, function }) in sent.into_iter().enumerate() {
        let FunctionWord::Function = r#type;
        let wrong = |field: &str, problem: &str| {
            let param = format!("tools[{number}].function.{field}");
            let message = format!("{param}: {problem}");
            OpenAiError::field(param, message)
        };
        if !is_name(&function.name) {
            let problem = "must have 1 to 64 letters, digits, _ and - and nothing else";
            return Err(wrong("name", problem));
        }
        if tools.iter().any(|tool| tool.name == function.name) {
            return Err(wrong("name", "another tool has the same name"));
        }
        let parameters = function.parameters.unwrap_or_else(no_parameters);
        if !parameters.is_object() {
            return Err(wrong("parameters", "must be a JSON Schema, an object"));
        }
        tools.push(Tool {
            name: function.name,
            description: function.description,
            parameters: of_object(parameters),
        });
    }
    Ok(tools)
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn no_parameters() -> Value {
    json!({"type": "object", "properties": {}, "additionalProperties": false})
}

/// Arguments are an object, even where the schema forgets to say so.
fn of_object(mut parameters: Value) -> Value {
    if let Some(members) = parameters.as_object_mut()
        && !members.contains_key("type")
    {
        members.insert("type".to_owned(), "object".into());
    }
    parameters
}
