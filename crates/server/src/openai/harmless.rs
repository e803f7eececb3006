//! Fields of OpenAI's that mean nothing here, and those of which only the value is possible that asks for
//! what is done anyway. All of them in one place; everything else is honoured or refused.

use serde_json::{Map, Value, json};

use super::error::OpenAiError;

/// For whom or what a request is, which changes no answer by OpenAI's own word.
const MEANINGLESS: [&str; 5] = [
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "metadata",
];

/// What fields may be, if they are there at all.
fn possible(field: &str) -> Vec<Value> {
    match field {
        "store" | "background" | "echo" => vec![json!(false)],
        "n" | "best_of" => vec![json!(1)],
        "service_tier" => vec![json!("auto"), json!("default")],
        "modalities" => vec![json!(["text"])],
        "truncation" => vec![json!("disabled")],
        "verbosity" => vec![json!("medium")],
        "suffix" => vec![json!("")],
        "reasoning" => vec![json!({})],
        "include" | "functions" => vec![json!([])],
        "function_call" => vec![json!("none"), json!("auto")],
        _ => Vec::new(),
    }
}

/// Takes the fields out that a route may have and that are harmless.
pub(super) fn take(members: &mut Map<String, Value>, fields: &[&str]) -> Result<(), OpenAiError> {
    for field in fields {
        let Some(value) = members.remove(*field) else {
            continue;
        };
        if MEANINGLESS.contains(field) {
            continue;
        }
        let possible = possible(field);
        if !possible.contains(&value) {
            let possible: Vec<String> = possible.iter().map(Value::to_string).collect();
            let message = format!(
                "{field}: this server can only do {} here",
                possible.join(" or ")
            );
            return Err(OpenAiError::unsupported(*field, message));
        }
    }
    Ok(())
}
