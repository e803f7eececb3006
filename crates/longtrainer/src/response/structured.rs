//! Answers that are data: JSON of a schema.
//!
//! The engine keeps a model to the schema token by token, and the model is told of it, because
//! keeping alone makes a small model fill the right shape with nonsense. What comes of it is
//! checked all the same before anybody relies on it: not every model behind the seam need be kept.

use longtrainer_inference::{FinishReason, Generation, Grammar, JsonProblem, validate_json};
use serde_json::Value;

use crate::error::{Error, Result};

/// The schema of an answer.
#[derive(Clone)]
pub(super) struct Structure {
    schema: Value,
}

impl Structure {
    /// Checks that a schema can be one, before a model is asked; what it says the engine checks before
    /// it makes the first token.
    pub(super) fn new(schema: Value) -> Result<Self> {
        if !(schema.is_object() || schema.is_boolean()) {
            let found = kind_of(&schema);
            return Err(unusable(format!(
                "it is {found}, but must be an object or a boolean"
            )));
        }
        Ok(Self { schema })
    }

    pub(super) fn grammar(&self) -> Grammar {
        Grammar::JsonSchema(self.schema.clone())
    }

    /// The question with word of the schema.
    pub(super) fn instruct(&self, question: &str) -> String {
        format!(
            "{question}\n\nAnswer with JSON of this schema and nothing else: {}",
            self.schema
        )
    }

    /// The data of a whole answer.
    pub(super) fn data(&self, text: &str, end: &Generation) -> Result<Value> {
        if end.finish_reason == FinishReason::Length {
            return Err(Error::AnswerCutOff {
                tokens: end.usage.completion_tokens,
                answer: text.to_owned(),
            });
        }
        validate_json(&self.schema, text).map_err(|problem| Error::AnswerNotOfSchema {
            problem: told(&problem),
            answer: text.to_owned(),
        })
    }
}

/// The shape that the engine keeps an answer to.
pub(super) fn grammar(
    structure: Option<&Structure>,
    grammar: Option<Grammar>,
) -> Result<Option<Grammar>> {
    match (structure, grammar) {
        (Some(_), Some(_)) => Err(Error::SchemaAndGrammar),
        (Some(structure), None) => Ok(Some(structure.grammar())),
        (None, grammar) => Ok(grammar),
    }
}

/// A problem in one line, with what the reader of JSON said.
fn told(problem: &JsonProblem) -> String {
    match problem {
        JsonProblem::Syntax(error) => format!("no JSON: {error}"),
        other => other.to_string(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn unusable(problem: String) -> Error {
    Error::Schema { problem }
}

#[cfg(test)]
mod tests {
    use longtrainer_inference::Usage;
    use serde_json::json;

    use super::*;

    fn data(text: &str, finish_reason: FinishReason) -> Result<Value> {
        let schema = json!({"type": "object", "properties": {"year": {"type": "integer"}},
                            "required": ["year"]});
        let usage = Usage::default();
        let end = Generation {
            finish_reason,
            usage,
        };
        Structure::new(schema)?.data(text, &end)
    }

    #[test]
    fn a_value_of_the_schema_is_data_and_any_other_is_told_with_its_place() {
        let found = data(" {\"year\": 1862}\n", FinishReason::Stop);
        assert_eq!(found.unwrap(), json!({"year": 1862}));
        let cut_off = data("{\"year\": 1862}", FinishReason::Length);
        assert!(matches!(cut_off, Err(Error::AnswerCutOff { .. })));
        for (text, told) in [
            ("{\"year\": \"long ago\"}", "/year"),
            ("{\"year\": 18", "no JSON"),
            ("{}", "year"),
        ] {
            match data(text, FinishReason::Stop) {
                Err(Error::AnswerNotOfSchema { problem, .. }) => {
                    assert!(problem.contains(told), "{problem}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        let reason = |schema| Structure::new(schema).err().unwrap().to_string();
        assert!(reason(json!([])).contains("it is an array"));
        assert!(reason(json!("string")).contains("it is a string"));
        assert!(Structure::new(json!(true)).is_ok());
    }
}
