//! Values that may stand alone or in a list.

use serde::Deserialize;

/// `"text"`, `["text", ...]`, `[1, 2]` or `[[1, 2], ...]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a text, a list of texts, a list of token numbers, or a list of such lists"
)]
pub(super) enum TextsOrTokens {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}
