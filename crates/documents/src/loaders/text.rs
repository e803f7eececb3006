//! Plain text and Markdown, as they are; and the decoding that every text format shares.
//!
//! A byte-order mark decides; without one, bytes that are valid UTF-8 are UTF-8, and the rest is
//! read as Windows-1252, the commonest older encoding, in which every byte means something. Since it
//! accepts anything, binary content is turned away first, by its control characters.

use encoding_rs::{Encoding, WINDOWS_1252};

use crate::format::Format;
use crate::source::Source;
use crate::{Document, Error, Result};

/// Beyond one control character in so many bytes, content is binary. Text has next to none;
/// compressed data and pictures have about one in ten.
const BYTES_PER_CONTROL: usize = 200;

pub(crate) fn load(source: &Source<'_>) -> Result<Vec<Document>> {
    let text = decode(source, None).map_err(|error| match error {
        // No extension has promised text here, so it was not broken either.
        Error::NotThisFormat { path, .. } if source.format == Format::Other => {
            Error::UnsupportedFormat { path }
        }
        error => error,
    })?;
    Ok(vec![source.document(text, [])])
}

/// The content as text, without its byte-order mark. `declared` is the encoding that the content
/// itself names, which is believed if the bytes are not UTF-8.
pub(crate) fn decode(source: &Source<'_>, declared: Option<&'static Encoding>) -> Result<String> {
    let text = match Encoding::for_bom(source.bytes) {
        Some((encoding, mark)) => strict(source, encoding, &source.bytes[mark..])?,
        None if looks_binary(source.bytes) => return Err(source.not_this_format()),
        None => guess(source, declared)?,
    };
    if text.contains('\0') {
        return Err(source.not_this_format());
    }
    if text.trim().is_empty() {
        return Err(source.empty("there is no text in it"));
    }
    Ok(text)
}

fn guess(source: &Source<'_>, declared: Option<&'static Encoding>) -> Result<String> {
    if let Ok(text) = std::str::from_utf8(source.bytes) {
        return Ok(text.to_owned());
    }
    // `declared` may be UTF-8, and wrong; the last resort cannot fail.
    if let Some(text) = declared.and_then(|encoding| {
        encoding.decode_without_bom_handling_and_without_replacement(source.bytes)
    }) {
        return Ok(text.into_owned());
    }
    tracing::debug!(path = %source.path.display(), "not UTF-8, read as Windows-1252");
    strict(source, WINDOWS_1252, source.bytes)
}

fn strict(source: &Source<'_>, encoding: &'static Encoding, bytes: &[u8]) -> Result<String> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .map(|text| text.into_owned())
        .ok_or_else(|| {
            let name = encoding.name();
            source.malformed(format!(
                "its byte-order mark says {name}, but the rest is not {name}"
            ))
        })
}

/// Whether bytes without a byte-order mark are something else than text.
fn looks_binary(bytes: &[u8]) -> bool {
    let controls = bytes.iter().filter(|byte| is_control(**byte)).count();
    bytes.starts_with(b"%PDF-") || bytes.contains(&0) || controls > bytes.len() / BYTES_PER_CONTROL
}

/// Control characters that text does not have: all but tab, line breaks, form feed, the escape of
/// coloured logs and the end-of-file mark of DOS.
fn is_control(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | 0x1a | 0x1b)
}
