//! Whether what a hub sent is what was asked of it.
//!
//! The list of models says what most files are, and the notes what a file of a commit was before.
//! Of the others it is known which commit they are from, and the hub says what it will send: the
//! size, the commit, and as ETag a hash: SHA-256 of a file kept in large file storage, Git's of any
//! other. Where the ETag is no hash, as that of a mirror may be, size and commit must do.

use std::path::{Path, PathBuf};

use crate::digest::{git_hash_of_file, sha256_of_file};
use crate::entry::{FileEntry, HubSource, is_hex};
use crate::error::{Error, Result};
use crate::first_seen::FirstSeen;

/// What is known of a file before it is fetched.
pub(super) struct Wanted<'a> {
    pub(super) size: Option<u64>,
    sha256: Option<&'a str>,
    revision: &'a str,
}

/// What a hub sent.
pub(super) struct Delivery {
    /// The file.
    pub(super) blob: PathBuf,
    /// What the hub calls it.
    pub(super) etag: String,
    /// The commit that the hub took it from.
    pub(super) commit: String,
}

impl<'a> Wanted<'a> {
    /// `destination` is where the file is to go.
    pub(super) fn new(
        file: &'a FileEntry,
        source: &'a HubSource,
        destination: &Path,
        first_seen: &'a FirstSeen,
    ) -> Self {
        let noted = || first_seen.hash_from(&source.pin(), destination);
        Self {
            size: file.size,
            sha256: file.sha256.as_deref().or_else(noted),
            revision: &source.revision,
        }
    }

    /// Checks a file that came, naming its address in an error; returns its hash. `size` is the one
    /// that the list gives, or else the hub.
    pub(super) fn check(
        &self,
        delivery: &Delivery,
        size: Option<u64>,
        url: &str,
    ) -> Result<String> {
        check_size(&delivery.blob, size, url)?;
        let actual = sha256_of_file(&delivery.blob)?;
        match self.sha256 {
            Some(expected) if expected != actual => Err(Error::WrongHash {
                path: PathBuf::from(url),
                expected: expected.to_owned(),
                actual,
            }),
            Some(_) => Ok(actual),
            None => {
                self.check_commit(delivery, url)?;
                check_announced(delivery, &actual, url)?;
                Ok(actual)
            }
        }
    }

    fn check_commit(&self, delivery: &Delivery, url: &str) -> Result<()> {
        match delivery.commit.eq_ignore_ascii_case(self.revision) {
            true => Ok(()),
            false => Err(Error::HubOtherCommit {
                url: url.to_owned(),
                commit: delivery.commit.clone(),
            }),
        }
    }
}

fn check_size(blob: &Path, size: Option<u64>, url: &str) -> Result<()> {
    let found = std::fs::metadata(blob).map_err(Error::io("look at", blob))?;
    match size {
        Some(expected) if expected != found.len() => Err(Error::WrongSize {
            path: PathBuf::from(url),
            expected,
            actual: found.len(),
        }),
        _ => Ok(()),
    }
}

/// Compares the file with its ETag, as far as that is a hash.
fn check_announced(delivery: &Delivery, sha256: &str, url: &str) -> Result<()> {
    let etag = &delivery.etag;
    let actual = match etag {
        _ if is_hex(etag, 64) => sha256.to_owned(),
        _ if is_hex(etag, 40) => git_hash_of_file(&delivery.blob)?,
        _ => {
            tracing::debug!(
                url,
                etag,
                "the hub's ETag is no hash; nothing to compare with"
            );
            return Ok(());
        }
    };
    match actual.eq_ignore_ascii_case(etag) {
        true => Ok(()),
        false => Err(Error::HubSentOther {
            url: url.to_owned(),
            announced: etag.clone(),
            actual,
        }),
    }
}
