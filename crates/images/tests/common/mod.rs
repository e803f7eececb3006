//! What the tests of this crate share: the files that scripts/reference/pictures.py made.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::path::{Path, PathBuf};

use longtrainer_images::{Limits, Picture};

/// A file of the test data.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A picture of the test data.
pub fn picture(name: &str) -> Picture {
    Picture::open(path(name), &Limits::default()).unwrap()
}

/// The bytes behind base64.
pub fn from_base64(text: &str) -> Vec<u8> {
    data_url::forgiving_base64::decode_to_vec(text.as_bytes()).unwrap()
}

/// Names of all pictures of the test data.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".json"))
        .collect();
    names.sort();
    names
}
