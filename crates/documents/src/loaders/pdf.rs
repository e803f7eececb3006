//! PDF: one document a page, through `pdf_oxide`.
//!
//! Five libraries (pdf-extract, lopdf, unpdf, pdf-inspector, pdf_oxide) were held against poppler's
//! `pdftotext`. On ten manuals pdf_oxide kept 0.993 to 0.999 of the words, ligatures and spaces
//! included; pdf-extract panicked on one of them, pdf-inspector dropped up to 0.15, lopdf up to
//! 0.02 and more than half in some drawings. Of files made to hurt, lopdf alone took all without a
//! crash or a hang; pdf_oxide failed on three (deep dictionaries, a deep page tree, 300 000 pages),
//! which are turned away here. It also mends files that were cut off, so a missing end is an error
//! before it starts. Deep nesting inside a compressed object is not seen. A hyphen at the end of a
//! line stays: whether it belongs to the word cannot be known.

use std::collections::HashSet;
use std::path::PathBuf;

use pdf_oxide::object::Object;
use pdf_oxide::{Error as PdfError, PdfDocument};

use crate::format::Format;
use crate::guard::{self, Stop};
use crate::source::Source;
use crate::{Document, Error, LoadOptions, Result};

/// Where the header and the end mark may be at the latest, from either end of the file in bytes
/// (ISO 32000-1, annex H.3, notes 13 and 18).
const MARGIN: usize = 1024;
/// How deeply arrays and dictionaries may nest; real files stay below a hundred.
const MAX_NESTING: usize = 2_000;
/// How deep the tree of pages may be; a balanced one of a million pages has six levels.
const MAX_TREE_DEPTH: usize = 500;

pub(crate) fn load(source: &Source<'_>) -> Result<Vec<Document>> {
    check_frame(source)?;
    let (path, options): (PathBuf, LoadOptions) = (source.path.to_owned(), source.options.clone());
    let pages = guard::run(source, move |bytes, stop| {
        let source = Source {
            path: &path,
            format: Format::Pdf,
            bytes: &bytes,
            options: &options,
        };
        read_pages(&source, stop)
    })??;
    let mut documents = Vec::new();
    for (at, text) in pages.into_iter().enumerate() {
        if !text.trim().is_empty() {
            documents.push(source.document(text, [("page", (at + 1).into())]));
        }
    }
    if documents.is_empty() {
        return Err(source.empty("there is no text in it; scanned pages need OCR first"));
    }
    Ok(documents)
}

/// Checks what can be seen without parsing: both ends, and the nesting.
fn check_frame(source: &Source<'_>) -> Result<()> {
    let bytes = source.bytes;
    if find(&bytes[..bytes.len().min(MARGIN)], b"%PDF-").is_none() {
        return Err(source.not_this_format());
    }
    let end = bytes
        .iter()
        .rposition(|byte| !byte.is_ascii_whitespace() && *byte != 0);
    let bytes = &bytes[..end.map_or(0, |end| end + 1)];
    if find(&bytes[bytes.len().saturating_sub(MARGIN)..], b"%%EOF").is_none() {
        return Err(source.malformed("its end is missing; the file seems to be cut off"));
    }
    if nesting(bytes) > MAX_NESTING {
        return Err(source.malformed(format!("it nests more than {MAX_NESTING} levels deep")));
    }
    Ok(())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// How deeply arrays and dictionaries nest at most. Brackets in compressed streams count too, but
/// come to little before the `endstream` or `endobj` at which the count starts again.
fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        match rest[0] {
            b'e' if rest.starts_with(b"endobj") || rest.starts_with(b"endstream") => depth = 0,
            b'[' => depth += 1,
            b'<' if rest.starts_with(b"<<") => {
                depth += 1;
                at += 1;
            }
            b']' => depth = depth.saturating_sub(1),
            b'>' if rest.starts_with(b">>") => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => {}
        }
        deepest = deepest.max(depth);
        at += 1;
    }
    deepest
}

/// The text of every page, in order; empty for a page without text.
fn read_pages(source: &Source<'_>, stop: &Stop) -> Result<Vec<String>> {
    let document = open(source)?;
    let count = count_pages(source, &document)?;
    let limit = source.options.max_pages;
    if count > limit {
        return Err(Error::TooManyPages {
            path: source.path.to_owned(),
            pages: count,
            limit,
        });
    }
    let (mut pages, mut length) = (Vec::new(), 0);
    for at in 0..count {
        if stop.is_set() {
            break;
        }
        let text = document
            .extract_text(at)
            .map_err(|error| failed(source, &format!("page {}", at + 1), error))?;
        length += text.len() as u64;
        if length > source.options.max_text_bytes {
            return Err(source.too_much_text());
        }
        pages.push(text);
    }
    Ok(pages)
}

/// Opens the file, with the empty password if it has one: many files are locked only against
/// changes.
fn open(source: &Source<'_>) -> Result<PdfDocument> {
    let document = PdfDocument::from_bytes(source.bytes.to_vec())
        .map_err(|error| failed(source, "it", error))?;
    let open = document
        .authenticate(b"")
        .map_err(|error| failed(source, "its lock", error))?;
    if open {
        Ok(document)
    } else {
        Err(source.encrypted())
    }
}

/// How many pages there are. The tree of pages is walked here, without recursion, because the count
/// that a file gives for itself may be too small, and pages beyond it would be lost without a word.
fn count_pages(source: &Source<'_>, document: &PdfDocument) -> Result<usize> {
    let root = document
        .catalog()
        .ok()
        .and_then(|catalog| catalog.as_dict()?.get("Pages").cloned());
    let mut open: Vec<(Object, usize)> = root.into_iter().map(|root| (root, 0)).collect();
    let (mut pages, mut seen) = (0, HashSet::new());
    while let Some((node, depth)) = open.pop() {
        let place = node.as_reference();
        let node = place.map_or(Ok(node), |place| document.load_object(place));
        let node = node.map_err(|error| failed(source, "its tree of pages", error))?;
        let Some(entries) = node.as_dict() else {
            continue;
        };
        let Some(kids) = entries.get("Kids").and_then(Object::as_array) else {
            pages += 1;
            continue;
        };
        if place.is_some_and(|place| !seen.insert((place.id, place.r#gen))) {
            return Err(source.malformed("its tree of pages goes in a circle"));
        }
        if depth == MAX_TREE_DEPTH {
            return Err(source.malformed(format!(
                "its tree of pages is more than {MAX_TREE_DEPTH} levels deep"
            )));
        }
        open.extend(kids.iter().map(|kid| (kid.clone(), depth + 1)));
    }
    Ok(pages)
}

fn failed(source: &Source<'_>, what: &str, error: PdfError) -> Error {
    match error {
        PdfError::EncryptedPdf => source.encrypted(),
        error => source.malformed_because(format!("{what} cannot be read"), Some(error.into())),
    }
}
