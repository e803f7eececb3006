//! Functions in a chat: as a template writes them that knows them, and in words for one that does not.
//!
//! There are many forms in which models call functions. Here is one, JSON between `<tool_call>` and
//! `</tool_call>`, which Hermes and Qwen were trained on and others can follow. A template that writes
//! this form itself is left to do it; with any other the functions stand in the system message.

use serde::Serialize;
use serde_json::{Value, json};

use super::put_mark_inside;
use super::turns::Turn;
use crate::{Role, Tool, ToolCall};

/// What a first look at a template says of functions.
pub(super) mod probe {
    pub(super) const TOOL: &str = "probe_tool";
    pub(super) const CALL: &str = "probe_call";
    pub(super) const RESULT: &str = "probe_result";
    pub(super) const CALLED: &str = r#"{"name": "probe_call", "arguments": {"probe": 1}}"#;
}

/// A chat with a function, a call and its result, and what a template that knows them makes of it.
pub(super) fn probe_chat() -> (Vec<Turn>, Vec<Tool>) {
    let turn = |role, text: &str| Turn {
        role,
        images: 0,
        text: text.to_owned(),
        calls: Vec::new(),
    };
    let mut call = turn(Role::Assistant, "");
    call.calls.push(ToolCall {
        name: probe::CALL.to_owned(),
        arguments: json!({"probe": 1}),
    });
    let turns = vec![
        turn(Role::User, super::PROBE),
        call,
        turn(Role::Tool, probe::RESULT),
    ];
    let tool = Tool {
        name: probe::TOOL.to_owned(),
        description: None,
        parameters: json!({"type": "object", "properties": {}}),
    };
    (turns, vec![tool])
}

/// Whether a template has put everything of the probe in its place.
pub(super) fn is_whole(rendered: &str) -> bool {
    let call = format!("<tool_call>\n{}\n</tool_call>", probe::CALLED);
    [probe::TOOL, probe::RESULT, &call]
        .iter()
        .all(|part| rendered.contains(part))
}

/// A function as templates know it.
pub(super) fn for_template(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name});
    if let Some(description) = &tool.description {
        function["description"] = description.as_str().into();
    }
    function["parameters"] = tool.parameters.clone();
    json!({"type": "function", "function": function})
}

/// A call as templates know it.
#[derive(Debug, Serialize)]
pub(super) struct TemplateCall<'turn> {
    r#type: &'static str,
    function: TemplateFunction<'turn>,
}

#[derive(Debug, Serialize)]
struct TemplateFunction<'turn> {
    name: &'turn str,
    arguments: &'turn Value,
}

impl<'turn> From<&'turn ToolCall> for TemplateCall<'turn> {
    fn from(call: &'turn ToolCall) -> Self {
        Self {
            r#type: "function",
            function: TemplateFunction {
                name: &call.name,
                arguments: &call.arguments,
            },
        }
    }
}

/// The same chat without functions, calls and results: all of them are words.
pub(super) fn in_words(turns: Vec<Turn>, tools: &[Tool]) -> Vec<Turn> {
    let mut told: Vec<Turn> = Vec::with_capacity(turns.len() + 1);
    let mut after_result = false;
    for mut turn in turns {
        let is_result = turn.role == Role::Tool;
        if is_result {
            turn.role = Role::User;
            turn.text = format!("<tool_response>\n{}\n</tool_response>", turn.text);
        }
        for call in std::mem::take(&mut turn.calls) {
            let line = if turn.text.is_empty() { "" } else { "\n" };
            turn.text += &format!("{line}<tool_call>\n{}\n</tool_call>", written(&call));
        }
        match told.last_mut() {
            // Many templates want questions and answers in turns.
            Some(last) if is_result && after_result => {
                last.text.push('\n');
                last.text += &turn.text;
            }
            _ => told.push(turn),
        }
        after_result = is_result;
    }
    if !tools.is_empty() {
        let description = describe(tools);
        match told.first_mut() {
            Some(first) if first.role == Role::System => {
                first.text = format!("{}\n\n{description}", first.text);
            }
            _ => told.insert(
                0,
                Turn {
                    role: Role::System,
                    images: 0,
                    text: description,
                    calls: Vec::new(),
                },
            ),
        }
    }
    told
}

fn describe(tools: &[Tool]) -> String {
    let mut text = String::from(
        "You can call functions. Here is one on each line, with the JSON Schema of its arguments:\n",
    );
    for tool in tools {
        text += &format!("{}\n", for_template(tool)["function"]);
    }
    text + "\nTo call a function, answer with its name and its arguments in this form:\n<tool_call>\n\
            {\"name\": \"the function's name\", \"arguments\": {}}\n</tool_call>\n\
            What the function returns is then told to you."
}

/// A call in the form in which the model is to write it.
fn written(call: &ToolCall) -> String {
    let name = Value::from(call.name.as_str());
    format!("{{\"name\": {name}, \"arguments\": {}}}", call.arguments)
}

/// Puts the mark inside a control token's text, wherever a chat with functions has text.
pub(super) fn mark_all(turns: &mut [Turn], tools: &mut [Tool], control: &str, mark: char) {
    for turn in turns {
        put_mark_inside(&mut turn.text, control, mark);
        for call in &mut turn.calls {
            put_mark_inside(&mut call.name, control, mark);
            mark_value(&mut call.arguments, control, mark);
        }
    }
    for tool in tools {
        put_mark_inside(&mut tool.name, control, mark);
        if let Some(description) = &mut tool.description {
            put_mark_inside(description, control, mark);
        }
        mark_value(&mut tool.parameters, control, mark);
    }
}

fn mark_value(value: &mut Value, control: &str, mark: char) {
    match value {
        Value::String(text) => put_mark_inside(text, control, mark),
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| mark_value(value, control, mark)),
        Value::Object(members) => {
            let marked = std::mem::take(members).into_iter();
            *members = marked
                .map(|(mut name, mut value)| {
                    put_mark_inside(&mut name, control, mark);
                    mark_value(&mut value, control, mark);
                    (name, value)
                })
                .collect();
        }
        _ => {}
    }
}

/// Whether a character is anywhere in the functions and calls of a message.
pub(super) fn contains(tools: &[Tool], calls: &[ToolCall], character: char) -> bool {
    let in_tool = |tool: &Tool| {
        let description = tool.description.as_deref().unwrap_or_default();
        tool.name.contains(character)
            || description.contains(character)
            || value_contains(&tool.parameters, character)
    };
    let in_call = |call: &ToolCall| {
        call.name.contains(character) || value_contains(&call.arguments, character)
    };
    tools.iter().any(in_tool) || calls.iter().any(in_call)
}

fn value_contains(value: &Value, character: char) -> bool {
    match value {
        Value::String(text) => text.contains(character),
        Value::Array(values) => values.iter().any(|value| value_contains(value, character)),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains(character) || value_contains(value, character)),
        _ => false,
    }
}
