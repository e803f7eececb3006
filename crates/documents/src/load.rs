//! The entry points for one file: pick the loader that its name asks for, and run it.
//!
//! Each comes twice, for a path and for bytes that came another way (an upload); the second does
//! the work of both.

use std::path::Path;

use crate::format::Format;
use crate::loaders::{csv, docx, html, json, pdf, text};
use crate::source::{Source, read_file};
use crate::{Document, Error, LoadOptions, Result};

/// The documents of a file, by the loader that its extension names:
///
/// | extension | documents | metadata beside `source` |
/// |---|---|---|
/// | pdf | one a page that has text | `page`, from 1 |
/// | docx | one | |
/// | csv, tsv | one a row, lines `Column: value` | `row`, from 0 |
/// | html, htm | one, the readable text | `title`, if there is one |
/// | md, markdown, txt, text | one, as it is | |
/// | json | one | `seq_num`, from 1 |
/// | jsonl, ndjson | one a line | `seq_num`, from 1 |
/// | any other, if the content is plain text | one, as it is | |
///
/// # Errors
///
/// Any variant of [`Error`] that concerns a file. Nothing is loaded in part.
pub fn load_path(path: &Path, options: &LoadOptions) -> Result<Vec<Document>> {
    let bytes = read_file(path, options.max_file_bytes)?;
    load(path, &bytes, options)
}

/// Like [`load_path`], for the content of a file; `name` stands for its path.
///
/// # Errors
///
/// As [`load_path`].
pub fn load_bytes(name: &str, bytes: &[u8], options: &LoadOptions) -> Result<Vec<Document>> {
    check_size(name, bytes, options)?;
    load(Path::new(name), bytes, options)
}

/// The documents that a jq expression makes of a JSON file, whatever its extension: one a result,
/// text as it is and other values as compact JSON; null and empty text make none. Metadata:
/// `source` and `seq_num`, the number of the result from 1.
///
/// An expression is a program: it is stopped after [`LoadOptions::max_time`], but the memory that
/// it takes is not limited. Take expressions from people you trust.
///
/// # Errors
///
/// [`Error::BadJqExpression`] and [`Error::JqFailed`] beside those of [`load_path`].
pub fn load_json(path: &Path, jq_schema: &str, options: &LoadOptions) -> Result<Vec<Document>> {
    let bytes = read_file(path, options.max_file_bytes)?;
    json::load(
        &Source {
            path,
            format: Format::Json,
            bytes: &bytes,
            options,
        },
        jq_schema,
    )
}

/// Like [`load_json`], for the content of a file; `name` stands for its path.
///
/// # Errors
///
/// As [`load_json`].
pub fn load_json_bytes(
    name: &str,
    bytes: &[u8],
    jq_schema: &str,
    options: &LoadOptions,
) -> Result<Vec<Document>> {
    check_size(name, bytes, options)?;
    let source = Source {
        path: Path::new(name),
        format: Format::Json,
        bytes,
        options,
    };
    json::load(&source, jq_schema)
}

fn check_size(name: &str, bytes: &[u8], options: &LoadOptions) -> Result<()> {
    let (bytes, limit) = (bytes.len() as u64, options.max_file_bytes);
    if bytes > limit {
        return Err(Error::TooLarge {
            path: name.into(),
            bytes,
            limit,
        });
    }
    Ok(())
}

fn load(path: &Path, bytes: &[u8], options: &LoadOptions) -> Result<Vec<Document>> {
    load_format(path, Format::of(path), bytes, options)
}

/// The documents of what is of this format, whatever it is called.
#[cfg(feature = "links")]
pub(crate) fn load_as(
    name: &str,
    format: Format,
    bytes: &[u8],
    options: &LoadOptions,
) -> Result<Vec<Document>> {
    load_format(Path::new(name), format, bytes, options)
}

fn load_format(
    path: &Path,
    format: Format,
    bytes: &[u8],
    options: &LoadOptions,
) -> Result<Vec<Document>> {
    let source = Source {
        path,
        format,
        bytes,
        options,
    };
    if bytes.is_empty() {
        return Err(source.empty("the file has 0 bytes"));
    }
    let documents = match source.format {
        Format::Pdf => pdf::load(&source),
        Format::Docx => docx::load(&source),
        Format::Csv | Format::Tsv => csv::load(&source),
        Format::Html => html::load(&source),
        Format::Text | Format::Other => text::load(&source),
        Format::Json => json::load(&source, "."),
        Format::JsonLines => json::load_lines(&source),
    }?;
    tracing::debug!(path = %path.display(), documents = documents.len(), "loaded a file");
    Ok(documents)
}
