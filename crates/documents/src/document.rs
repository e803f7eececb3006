//! The unit that loaders make and the store keeps.

use serde::{Deserialize, Serialize};

/// What is known about a document beside its text. Always has `source`; PDF adds `page` (from 1),
/// CSV adds `row` (from 0).
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// A text and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The text.
    pub page_content: String,
    /// Where it came from.
    #[serde(default)]
    pub metadata: Metadata,
}
