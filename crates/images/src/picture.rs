//! A picture as it came: the bytes of a file.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// A picture, not yet decoded. Copies share the bytes.
#[derive(Clone)]
pub struct Picture {
    name: Arc<str>,
    bytes: Arc<[u8]>,
    hash: PictureHash,
}

impl Picture {
    /// The bytes of a file, with the name that messages call it by.
    pub fn new(name: impl Into<Arc<str>>, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            name: name.into(),
            hash: PictureHash(Sha256::digest(&bytes).into()),
            bytes,
        }
    }

    /// What messages call it: a path, or what its owner named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it is known by: pictures of the same bytes have the same.
    pub fn hash(&self) -> PictureHash {
        self.hash
    }
}

/// The same bytes are the same picture, whatever it is called.
impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Picture {}

impl fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Picture")
            .field("name", &self.name)
            .field("bytes", &self.bytes.len())
            .field("hash", &self.hash)
            .finish()
    }
}

/// SHA-256 of a picture's bytes; written in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PictureHash([u8; 32]);

impl PictureHash {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PictureHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for PictureHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}
