//! What came back: which loader reads it, and in which encoding it is.

use std::borrow::Cow;
use std::path::Path;

use encoding_rs::{Encoding, UTF_8};

use super::error::LinkError;
use crate::format::Format;

/// The answer to a link.
pub(crate) struct Answer {
    /// The path of the address that answered, for its extension.
    pub(crate) path: String,
    /// What the server says that it is.
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// The format of the answer. Servers that do not know say so, or nothing; then the extension
    /// counts, and a page without one is a page.
    pub(crate) fn format(&self) -> Result<Format, LinkError> {
        let extension = Format::of(Path::new(&self.path));
        let media_type = self.essence();
        Ok(match media_type.as_str() {
            "text/html" | "application/xhtml+xml" => Format::Html,
            "application/pdf" => Format::Pdf,
            "text/csv" => Format::Csv,
            "text/tab-separated-values" => Format::Tsv,
            "application/json" => Format::Json,
            "application/jsonl" | "application/x-ndjson" | "application/jsonlines" => {
                Format::JsonLines
            }
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => {
                Format::Docx
            }
            "" | "application/octet-stream" | "binary/octet-stream"
                if extension != Format::Other =>
            {
                extension
            }
            // A file that is served as it is: Markdown and code, but tables, too.
            "text/plain" if extension != Format::Html && extension != Format::Pdf => extension,
            text if text.starts_with("text/") => Format::Text,
            _ => {
                return Err(LinkError::MediaType {
                    media_type: media_type.chars().take(100).collect(),
                });
            }
        })
    }

    /// The media type without its parameters.
    fn essence(&self) -> String {
        let all = self.media_type.as_deref().unwrap_or_default();
        let essence = all.split(';').next().unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    }

    /// The bytes; those of a text whose server names another encoding than UTF-8, in UTF-8 with its
    /// mark, which every loader believes before anything that the text says about itself.
    pub(crate) fn text_in_utf8(&self, format: Format) -> Cow<'_, [u8]> {
        let is_text = !matches!(format, Format::Pdf | Format::Docx);
        match self.encoding().filter(|encoding| *encoding != UTF_8) {
            Some(encoding) if is_text => {
                let (text, _, _) = encoding.decode(&self.bytes);
                Cow::Owned(format!("\u{feff}{text}").into_bytes())
            }
            _ => Cow::Borrowed(&self.bytes),
        }
    }

    /// The encoding that the server names.
    fn encoding(&self) -> Option<&'static Encoding> {
        let mut parameters = self.media_type.as_deref()?.split(';').skip(1);
        let charset = parameters.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then_some(value)
        })?;
        Encoding::for_label(charset.trim().trim_matches('"').as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(path: &str, media_type: &str) -> Answer {
        Answer {
            path: path.to_owned(),
            media_type: (!media_type.is_empty()).then(|| media_type.to_owned()),
            bytes: b"Gr\xfc\xdfe".to_vec(),
        }
    }

    #[test]
    fn the_content_type_decides_and_where_it_does_not_the_extension() {
        for (path, media_type, format) in [
            ("/", "Text/HTML; charset=utf-8", Format::Html),
            ("/a.pdf", "text/html", Format::Html),
            ("/a.pdf", "", Format::Pdf),
            ("/a.csv", "application/octet-stream", Format::Csv),
            ("/README.md", "text/plain", Format::Text),
            ("/a.csv", "text/plain", Format::Csv),
            ("/a.html", "text/plain", Format::Text),
            ("/a", "text/markdown", Format::Text),
        ] {
            assert_eq!(answer(path, media_type).format().unwrap(), format, "{path}");
        }
        for media_type in ["image/png", "application/zip", "video/mp4", ""] {
            let error = answer("/a", media_type).format().unwrap_err();
            assert!(matches!(error, LinkError::MediaType { .. }), "{media_type}");
        }
    }

    #[test]
    fn the_encoding_that_the_server_names_is_believed() {
        let answer = answer("/", "text/html; Charset=\"ISO-8859-1\"");
        let text = answer.text_in_utf8(Format::Html);
        assert_eq!(&*text, "\u{feff}Grüße".as_bytes());
        assert_eq!(&*answer.text_in_utf8(Format::Pdf), b"Gr\xfc\xdfe");
    }
}
