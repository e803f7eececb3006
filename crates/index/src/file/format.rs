//! The header of an index file, version 1, and where its sections lie; all of it little-endian.
//!
//! The first 16 bytes (magic, version and their checksum) are the same in every version, so that
//! a newer file is told from a damaged one. Offsets are not stored: they follow from the dimension
//! and the count, and what is not stored cannot contradict.

use std::array;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::{Error, Metric, Result};

/// The version that is written and read.
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_LENGTH: usize = 64;
const MAGIC: [u8; 8] = *b"LTvector";
/// Sections start at multiples of this, so that a mapped file is aligned for every processor.
const ALIGNMENT: u64 = 64;
/// The kind of index: exact. The only one so far.
const KIND_FLAT: u16 = 1;

const VERSION_AT: usize = 8;
const PREAMBLE_CHECKSUM_AT: usize = 12;
const KIND_AT: usize = 16;
const METRIC_AT: usize = 18;
const DIMENSION_AT: usize = 20;
const COUNT_AT: usize = 24;
const REVISION_AT: usize = 32;
const IDS_CHECKSUM_AT: usize = 40;
const VECTORS_CHECKSUM_AT: usize = 48;
const HEADER_CHECKSUM_AT: usize = 56;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) metric: Metric,
    pub(super) dimension: u32,
    pub(super) count: u64,
    pub(super) revision: u64,
    pub(super) ids_checksum: u64,
    pub(super) vectors_checksum: u64,
}

/// Where the sections lie: lengths in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) ids: u64,
    /// Zeros between the ids and the vectors.
    pub(super) padding: u64,
    pub(super) vectors: u64,
    /// All of the file, with the header.
    pub(super) file: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(VERSION_AT, &VERSION.to_le_bytes());
        put(KIND_AT, &KIND_FLAT.to_le_bytes());
        put(METRIC_AT, &metric_code(self.metric).to_le_bytes());
        put(DIMENSION_AT, &self.dimension.to_le_bytes());
        put(COUNT_AT, &self.count.to_le_bytes());
        put(REVISION_AT, &self.revision.to_le_bytes());
        put(IDS_CHECKSUM_AT, &self.ids_checksum.to_le_bytes());
        put(VECTORS_CHECKSUM_AT, &self.vectors_checksum.to_le_bytes());
        let preamble = preamble_checksum(&bytes).to_le_bytes();
        bytes[PREAMBLE_CHECKSUM_AT..KIND_AT].copy_from_slice(&preamble);
        let header = xxh3_64(&bytes[..HEADER_CHECKSUM_AT]).to_le_bytes();
        bytes[HEADER_CHECKSUM_AT..].copy_from_slice(&header);
        bytes
    }

    /// Reads a header; `path` is for the errors.
    pub(super) fn decode(bytes: &[u8; HEADER_LENGTH], path: &Path) -> Result<Header> {
        check_preamble(bytes, path)?;
        let damaged = || Error::Damaged {
            path: path.to_owned(),
            part: "header",
        };
        let checksum = u64::from_le_bytes(field(bytes, HEADER_CHECKSUM_AT));
        if checksum != xxh3_64(&bytes[..HEADER_CHECKSUM_AT]) {
            return Err(damaged());
        }
        let kind = u16::from_le_bytes(field(bytes, KIND_AT));
        let metric = metric_of(u16::from_le_bytes(field(bytes, METRIC_AT)));
        let dimension = u32::from_le_bytes(field(bytes, DIMENSION_AT));
        if kind != KIND_FLAT || dimension == 0 {
            return Err(damaged());
        }
        Ok(Header {
            metric: metric.ok_or_else(damaged)?,
            dimension,
            count: u64::from_le_bytes(field(bytes, COUNT_AT)),
            revision: u64::from_le_bytes(field(bytes, REVISION_AT)),
            ids_checksum: u64::from_le_bytes(field(bytes, IDS_CHECKSUM_AT)),
            vectors_checksum: u64::from_le_bytes(field(bytes, VECTORS_CHECKSUM_AT)),
        })
    }

    /// Where the sections lie, or nothing if no file could be that long.
    pub(super) fn layout(&self) -> Option<Layout> {
        let ids = self.count.checked_mul(size_of::<u64>() as u64)?;
        let ids_end = ids.checked_add(HEADER_LENGTH as u64)?;
        let vectors_at = ids_end.checked_next_multiple_of(ALIGNMENT)?;
        let vector = u64::from(self.dimension) * size_of::<f32>() as u64;
        let vectors = self.count.checked_mul(vector)?;
        let file = vectors_at.checked_add(vectors)?;
        Some(Layout {
            ids,
            padding: vectors_at - ids_end,
            vectors,
            file,
        })
    }
}

/// Whether a file that starts with `bytes`, perhaps too few, may be an index.
pub(super) fn may_be_index(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .zip(&MAGIC)
        .all(|(byte, expected)| byte == expected)
}

fn check_preamble(bytes: &[u8; HEADER_LENGTH], path: &Path) -> Result<()> {
    let path = || path.to_owned();
    if !may_be_index(bytes) {
        return Err(Error::NotAnIndex { path: path() });
    }
    if u32::from_le_bytes(field(bytes, PREAMBLE_CHECKSUM_AT)) != preamble_checksum(bytes) {
        return Err(Error::Damaged {
            path: path(),
            part: "header",
        });
    }
    match u32::from_le_bytes(field(bytes, VERSION_AT)) {
        VERSION => Ok(()),
        found => Err(Error::FormatVersion {
            path: path(),
            found,
            supported: VERSION,
        }),
    }
}

/// The lower half of the hash of the bytes before it.
fn preamble_checksum(bytes: &[u8; HEADER_LENGTH]) -> u32 {
    xxh3_64(&bytes[..PREAMBLE_CHECKSUM_AT]) as u32
}

fn field<const N: usize>(bytes: &[u8; HEADER_LENGTH], at: usize) -> [u8; N] {
    array::from_fn(|i| bytes[at + i])
}

fn metric_code(metric: Metric) -> u16 {
    match metric {
        Metric::InnerProduct => 1,
        Metric::Cosine => 2,
        Metric::L2 => 3,
    }
}

fn metric_of(code: u16) -> Option<Metric> {
    let metrics = [Metric::InnerProduct, Metric::Cosine, Metric::L2];
    metrics
        .into_iter()
        .find(|&metric| metric_code(metric) == code)
}
