//! The one place where records become bytes and bytes become records.
//!
//! Records are JSON: it describes itself, so a field added later is simply absent from older
//! records, and a person can read a file that was dumped. Vectors are `f32`, little-endian, one
//! after another: JSON would treble them. Pictures are the bytes of their files. Every value of every table passes through here, except
//! the schema number, which must be readable before anything else is known about a file; so this
//! is where encryption at rest will sit.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Cause, Error, Result};

/// A value that a table can hold.
pub(crate) trait Stored: Sized {
    fn to_bytes(&self) -> Result<Vec<u8>, Cause>;
    fn from_bytes(bytes: &[u8]) -> Result<Self, Cause>;
}

impl<T: Serialize + DeserializeOwned> Stored for T {
    fn to_bytes(&self) -> Result<Vec<u8>, Cause> {
        Ok(serde_json::to_vec(self)?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Cause> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// The embedding of one chunk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vector(pub(crate) Vec<f32>);

impl Stored for Vector {
    fn to_bytes(&self) -> Result<Vec<u8>, Cause> {
        Ok(self.0.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Cause> {
        let (components, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(format!("{} bytes are not a whole number of f32", bytes.len()).into());
        }
        Ok(Self(
            components.iter().map(|x| f32::from_le_bytes(*x)).collect(),
        ))
    }
}

/// The file of a picture, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PictureBytes(pub(crate) Arc<[u8]>);

impl Stored for PictureBytes {
    fn to_bytes(&self) -> Result<Vec<u8>, Cause> {
        Ok(self.0.to_vec())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Cause> {
        Ok(Self(bytes.into()))
    }
}

/// Encodes the value of one record.
///
/// # Errors
///
/// [`Error::DamagedRecord`] if the value has no encoding; no record type of this crate is so.
pub(crate) fn encode<T: Stored>(
    table: &'static str,
    key: &dyn std::fmt::Debug,
    value: &T,
) -> Result<Vec<u8>> {
    value
        .to_bytes()
        .map_err(|source| damaged(table, key, source))
}

/// Decodes the value of one record.
///
/// # Errors
///
/// [`Error::DamagedRecord`] if the bytes are not such a value.
pub(crate) fn decode<T: Stored>(
    table: &'static str,
    key: &dyn std::fmt::Debug,
    bytes: &[u8],
) -> Result<T> {
    T::from_bytes(bytes).map_err(|source| damaged(table, key, source))
}

fn damaged(table: &'static str, key: &dyn std::fmt::Debug, source: Cause) -> Error {
    Error::DamagedRecord {
        table,
        key: format!("{key:?}"),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_keep_every_bit() {
        let vector = Vector(vec![0.0, -0.0, 1.5, f32::MIN_POSITIVE / 2.0, f32::MAX]);
        let bytes = encode("vectors", &7, &vector).unwrap();
        assert_eq!(bytes.len(), 20);
        assert_eq!(&bytes[8..12], &[0, 0, 0xC0, 0x3F]);
        let back: Vector = decode("vectors", &7, &bytes).unwrap();
        let bits = |v: &Vector| v.0.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&vector));
    }

    #[test]
    fn undecodable_bytes_name_table_and_key() {
        let error = decode::<Vector>("vectors", &("bot-a", 3), &[1, 2, 3]).unwrap_err();
        assert!(error.to_string().contains("vectors"));
        assert!(error.to_string().contains("bot-a"));
        let error = decode::<crate::BotRecord>("bots", &"bot-a", b"{\"bot_id\":").unwrap_err();
        assert!(matches!(error, Error::DamagedRecord { table: "bots", .. }));
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_field_added_later_does_not_disturb() {
        let bytes =
            br#"{"first":1,"count":2,"chunking":{"chunk_size":3,"chunk_overlap":1},"new":[]}"#;
        let span: crate::ChunkSpan = decode("document_chunks", &1, bytes).unwrap();
        assert_eq!(span.count, 2);
    }
}
