//! What the black-box tests share: fixtures, and loading with the usual limits.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};

use longtrainer_documents::{Document, Error, LoadOptions, Result, load_bytes};

/// A file of `tests/data`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// The bytes of a file of `tests/data`.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

pub(crate) fn load(name: &str, bytes: &[u8]) -> Result<Vec<Document>> {
    load_bytes(name, bytes, &LoadOptions::default())
}

/// The text of the only document.
pub(crate) fn text(name: &str, bytes: &[u8]) -> String {
    let documents = load(name, bytes).unwrap();
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents.into_iter().next().unwrap().page_content
}

/// The error, which must name the file.
pub(crate) fn error(name: &str, bytes: &[u8]) -> Error {
    let error = load(name, bytes)
        .map(|documents| documents.len())
        .unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    error
}

/// The message of the error and of what is behind it.
pub(crate) fn chain(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(&format!(": {error}"));
        cause = error.source();
    }
    message
}
