//! Where an answer ends.

use serde::Deserialize;

use super::error::OpenAiError;

/// Most stop strings of a request; OpenAI takes four.
const MOST: usize = 16;

/// One stop string or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub(super) enum Stop {
    One(String),
    Many(Vec<String>),
}

/// The stop strings of a request.
pub(super) fn stops(stop: Option<Stop>) -> Result<Vec<String>, OpenAiError> {
    let stops = match stop {
        None => Vec::new(),
        Some(Stop::One(stop)) => vec![stop],
        Some(Stop::Many(stops)) => stops,
    };
    if stops.len() > MOST {
        let message = format!("stop: {} texts, but at most {MOST} are taken", stops.len());
        return Err(OpenAiError::field("stop", message));
    }
    Ok(stops)
}
