//! The file that keeps an index: one format, one writer, one reader.
//!
//! `docs/index-format.md` describes the bytes. The file is read into memory through ordinary
//! buffered reads; each byte of it is covered by a checksum or has one permitted value.

mod format;
mod reader;
mod writer;

use std::borrow::Cow;

pub(crate) use self::reader::open;
pub(crate) use self::writer::save;
use crate::Metric;

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contents<'a> {
    pub(crate) metric: Metric,
    pub(crate) dimension: usize,
    /// The owner's mark.
    pub(crate) revision: u64,
    /// All different.
    pub(crate) ids: Cow<'a, [u64]>,
    /// Row after row, in the order of the ids; all finite.
    pub(crate) vectors: Cow<'a, [f32]>,
}

#[cfg(test)]
mod tests;
