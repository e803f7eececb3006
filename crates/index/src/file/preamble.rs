//! The first 16 bytes of an index file: magic, version and their checksum.
//!
//! They are the same in every version, so that a newer file is told from a damaged one.

use std::array;

use xxhash_rust::xxh3::xxh3_64;

use super::fault::Fault;
use crate::{Error, Metric, Result};

/// The version that is written, and the greatest that is read.
pub(super) const NEWEST: u32 = 2;
/// Length of the whole header in versions 1 and 2.
pub(super) const HEADER_LENGTH: usize = 64;
const MAGIC: [u8; 8] = *b"LTvector";

const VERSION_AT: usize = 8;
const CHECKSUM_AT: usize = 12;
const END: usize = 16;
/// The last field of a header: the checksum of the bytes before it.
const HEADER_CHECKSUM_AT: usize = 56;

/// The bytes of a header.
pub(super) type HeaderBytes = [u8; HEADER_LENGTH];

/// Takes the header off a file and reads its version, which is 1 or 2.
pub(super) fn read(file: &[u8], fault: Fault<'_>) -> Result<(HeaderBytes, u32)> {
    let Some(bytes) = file.first_chunk() else {
        return Err(match may_be_index(file) {
            true => Error::Truncated {
                path: fault.0.to_owned(),
                expected: HEADER_LENGTH as u64,
                received: file.len() as u64,
            },
            false => fault.not_an_index(),
        });
    };
    if !may_be_index(bytes) {
        return Err(fault.not_an_index());
    }
    if u32_at(bytes, CHECKSUM_AT) != checksum(bytes) {
        return Err(fault.damaged("header"));
    }
    match u32_at(bytes, VERSION_AT) {
        version @ 1..=NEWEST => Ok((*bytes, version)),
        found => Err(Error::FormatVersion {
            path: fault.0.to_owned(),
            found,
            supported: NEWEST,
        }),
    }
}

/// Compares the checksum at the end of a header with what is before it.
pub(super) fn check_header(bytes: &HeaderBytes, fault: Fault<'_>) -> Result<()> {
    match u64_at(bytes, HEADER_CHECKSUM_AT) == xxh3_64(&bytes[..HEADER_CHECKSUM_AT]) {
        true => Ok(()),
        false => Err(fault.damaged("header")),
    }
}

/// Puts the preamble before, and the checksum after, the fields of a header.
pub(super) fn seal(bytes: &mut HeaderBytes, version: u32) {
    bytes[..VERSION_AT].copy_from_slice(&MAGIC);
    bytes[VERSION_AT..CHECKSUM_AT].copy_from_slice(&version.to_le_bytes());
    let preamble = checksum(bytes).to_le_bytes();
    bytes[CHECKSUM_AT..END].copy_from_slice(&preamble);
    let header = xxh3_64(&bytes[..HEADER_CHECKSUM_AT]).to_le_bytes();
    bytes[HEADER_CHECKSUM_AT..].copy_from_slice(&header);
}

pub(super) fn metric_code(metric: Metric) -> u16 {
    match metric {
        Metric::InnerProduct => 1,
        Metric::Cosine => 2,
        Metric::L2 => 3,
    }
}

pub(super) fn metric_of(code: u16) -> Option<Metric> {
    let metrics = [Metric::InnerProduct, Metric::Cosine, Metric::L2];
    metrics
        .into_iter()
        .find(|&metric| metric_code(metric) == code)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array::from_fn(|i| bytes[at + i]))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array::from_fn(|i| bytes[at + i]))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array::from_fn(|i| bytes[at + i]))
}

/// Whether a file that starts with `bytes`, perhaps too few, may be an index.
fn may_be_index(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .zip(&MAGIC)
        .all(|(byte, expected)| byte == expected)
}

/// The lower half of the hash of the bytes before it.
fn checksum(bytes: &HeaderBytes) -> u32 {
    xxh3_64(&bytes[..CHECKSUM_AT]) as u32
}
