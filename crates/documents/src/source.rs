//! The bytes of one file with its name and limits, as every loader takes them.
//!
//! Loaders never touch the disk: a file and an upload go the same way from here on. The errors and
//! the documents that a loader makes carry the name, so both are made here.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::ParserError;
use crate::format::{Format, media_type};
use crate::{Document, Error, LoadOptions, Metadata, Result};

/// A file in memory.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) format: Format,
    pub(crate) bytes: &'a [u8],
    pub(crate) options: &'a LoadOptions,
}

impl Source<'_> {
    /// A document of this file; `more` is added to its metadata.
    pub(crate) fn document<const N: usize>(
        &self,
        page_content: String,
        more: [(&str, serde_json::Value); N],
    ) -> Document {
        let mut metadata = Metadata::new();
        metadata.insert("source".to_owned(), display(self.path).into());
        metadata.extend(more.map(|(key, value)| (key.to_owned(), value)));
        Document {
            page_content,
            metadata,
        }
    }

    pub(crate) fn not_this_format(&self) -> Error {
        Error::NotThisFormat {
            path: self.path.to_owned(),
            expected: self.format.name(),
            found: media_type(self.bytes),
        }
    }

    pub(crate) fn empty(&self, reason: &'static str) -> Error {
        Error::Empty {
            path: self.path.to_owned(),
            reason,
        }
    }

    pub(crate) fn encrypted(&self) -> Error {
        Error::Encrypted {
            path: self.path.to_owned(),
        }
    }

    pub(crate) fn too_much_text(&self) -> Error {
        Error::TooMuchText {
            path: self.path.to_owned(),
            limit: self.options.max_text_bytes,
        }
    }

    pub(crate) fn malformed(&self, reason: impl Into<String>) -> Error {
        self.malformed_because(reason, None)
    }

    pub(crate) fn malformed_because(
        &self,
        reason: impl Into<String>,
        source: Option<ParserError>,
    ) -> Error {
        Error::Malformed {
            path: self.path.to_owned(),
            format: self.format.name(),
            reason: reason.into(),
            source,
        }
    }
}

/// Reads a whole file, unless it is larger than `limit` bytes or no regular file (reading a pipe
/// could wait for ever).
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let too_large = |bytes| Error::TooLarge {
        path: path.to_owned(),
        bytes,
        limit,
    };
    // Looked at before it is opened, since opening a pipe waits for a writer.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    if metadata.len() > limit {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    let file = File::open(path).map_err(io)?;
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// A path as text: as it is, or with escapes where it is no Unicode, so that two paths never look
/// the same.
fn display(path: &Path) -> String {
    path.to_str()
        .map_or_else(|| format!("{path:?}"), str::to_owned)
}
