//! The formats that have a loader, and how a file name tells which one is meant.
//!
//! The extension decides, because that is what the person who named the file said. The content is
//! then held against it: a file that is something else is an error, never a guess.

use std::path::Path;

/// The formats in one line, for messages.
pub(crate) const SUPPORTED: &str = "pdf, docx, csv, tsv, html, htm, md, markdown, txt, text, json, jsonl, ndjson and plain text \
     such as source code";

/// What a file holds, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Pdf,
    Docx,
    /// Comma-separated values; other separators are recognised.
    Csv,
    /// Tab-separated values.
    Tsv,
    Html,
    /// Markdown and plain text, which are loaded as they are.
    Text,
    Json,
    JsonLines,
    /// An extension that no loader claims: text if the content is text.
    Other,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Self {
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        match extension.as_str() {
            "pdf" => Self::Pdf,
            "docx" => Self::Docx,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "html" | "htm" => Self::Html,
            "md" | "markdown" | "txt" | "text" => Self::Text,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::JsonLines,
            _ => Self::Other,
        }
    }

    /// The name of the format as it stands in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pdf => "PDF",
            Self::Docx => "a Word document (docx)",
            Self::Csv => "CSV",
            Self::Tsv => "tab-separated text",
            Self::Html => "HTML",
            Self::Text | Self::Other => "text",
            Self::Json => "JSON",
            Self::JsonLines => "JSON lines",
        }
    }
}

/// The media type that the first bytes stand for, if they are known.
pub(crate) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    infer::get(bytes).map(|kind| kind.mime_type())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_counts_in_any_case() {
        assert_eq!(Format::of(Path::new("a/Report.PDF")), Format::Pdf);
        assert_eq!(Format::of(Path::new("x.tar.Ndjson")), Format::JsonLines);
        assert_eq!(Format::of(Path::new("Makefile")), Format::Other);
        assert_eq!(Format::of(Path::new("x.rs")), Format::Other);
    }

    #[test]
    fn first_bytes_are_named() {
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\n"), Some("image/png"));
        assert_eq!(media_type(b"%PDF-1.7"), Some("application/pdf"));
        assert_eq!(media_type(b"plain words"), None);
    }
}
