//! Checking finished text against its schema.

use serde_json::Value;

/// Why a text is not a value of its schema.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonProblem {
    /// The schema itself cannot be used.
    #[error("the JSON Schema cannot be used: {problem}")]
    Schema {
        /// What is wrong with it.
        problem: String,
    },
    /// The text is not JSON.
    #[error("the text is not JSON")]
    Syntax(#[from] serde_json::Error),
    /// The text is JSON that the schema does not allow.
    #[error("the value at {place:?} does not fit its schema: {problem}")]
    NotAllowed {
        /// Where, as a JSON pointer; empty for the whole.
        place: String,
        /// What does not fit.
        problem: String,
    },
}

/// Reads a text and checks that a JSON Schema allows it. References that leave the schema are not
/// followed.
///
/// # Errors
///
/// [`JsonProblem`] saying where and why.
pub fn validate_json(schema: &Value, text: &str) -> Result<Value, JsonProblem> {
    let value = serde_json::from_str(text)?;
    let validator = jsonschema::validator_for(schema).map_err(|error| JsonProblem::Schema {
        problem: error.to_string(),
    })?;
    validator
        .validate(&value)
        .map_err(|error| JsonProblem::NotAllowed {
            place: error.instance_path().to_string(),
            problem: error.to_string(),
        })?;
    Ok(value)
}
