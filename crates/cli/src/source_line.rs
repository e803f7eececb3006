//! How the source of a passage is shown to a person.

use longtrainer::Metadata;
use serde_json::Value;

/// `report.pdf, page 3` or `people.csv, row 17`: the source with its page or row as the document's
/// metadata has them.
pub(crate) fn place(source: &str, page: Option<u64>, row: Option<u64>) -> String {
    let source = if source.is_empty() {
        "(no source)"
    } else {
        source
    };
    match (page, row) {
        (Some(page), _) => format!("{source}, page {page}"),
        (None, Some(row)) => format!("{source}, row {row}"),
        (None, None) => source.to_owned(),
    }
}

/// [`place`] of a document's metadata.
pub(crate) fn place_of(metadata: &Metadata) -> String {
    let source = metadata
        .get("source")
        .and_then(Value::as_str)
        .unwrap_or_default();
    place(source, number(metadata, "page"), number(metadata, "row"))
}

/// A whole number of a document's metadata.
pub(crate) fn number(metadata: &Metadata, key: &str) -> Option<u64> {
    metadata.get(key).and_then(Value::as_u64)
}
