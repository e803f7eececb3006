//! The header of an index file, version 2; all of it little-endian.

use super::fault::Fault;
use super::preamble::{self, HeaderBytes, metric_code, metric_of, u16_at, u32_at, u64_at};
use crate::{Metric, Result};

const KIND_AT: usize = 16;
const METRIC_AT: usize = 18;
const DIMENSION_AT: usize = 20;
const COUNT_AT: usize = 24;
const REVISION_AT: usize = 32;
const SECTIONS_AT: usize = 40;
const RESERVED_AT: usize = 44;
const TABLE_CHECKSUM_AT: usize = 48;

/// What a header says about the index as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Which kind of index it is; the container takes any.
    pub(crate) kind: u16,
    pub(crate) metric: Metric,
    /// Components of a vector, at least 1. Not compared with the length of any section.
    pub(crate) dimension: u32,
    /// Number of vectors. Not compared with the length of any section.
    pub(crate) count: u64,
    /// The owner's mark.
    pub(crate) revision: u64,
}

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fields: Fields,
    /// Number of entries of the section table.
    pub(super) sections: u32,
    pub(super) table_checksum: u64,
}

impl Header {
    pub(super) fn encode(&self) -> HeaderBytes {
        let fields = &self.fields;
        let mut bytes = [0; preamble::HEADER_LENGTH];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(KIND_AT, &fields.kind.to_le_bytes());
        put(METRIC_AT, &metric_code(fields.metric).to_le_bytes());
        put(DIMENSION_AT, &fields.dimension.to_le_bytes());
        put(COUNT_AT, &fields.count.to_le_bytes());
        put(REVISION_AT, &fields.revision.to_le_bytes());
        put(SECTIONS_AT, &self.sections.to_le_bytes());
        put(TABLE_CHECKSUM_AT, &self.table_checksum.to_le_bytes());
        preamble::seal(&mut bytes, 2);
        bytes
    }

    /// Reads a header whose version is 2.
    pub(super) fn decode(bytes: &HeaderBytes, fault: Fault<'_>) -> Result<Header> {
        preamble::check_header(bytes, fault)?;
        let damaged = || fault.damaged("header");
        let fields = Fields {
            kind: u16_at(bytes, KIND_AT),
            metric: metric_of(u16_at(bytes, METRIC_AT)).ok_or_else(damaged)?,
            dimension: u32_at(bytes, DIMENSION_AT),
            count: u64_at(bytes, COUNT_AT),
            revision: u64_at(bytes, REVISION_AT),
        };
        if fields.dimension == 0 || u32_at(bytes, RESERVED_AT) != 0 {
            return Err(damaged());
        }
        Ok(Header {
            fields,
            sections: u32_at(bytes, SECTIONS_AT),
            table_checksum: u64_at(bytes, TABLE_CHECKSUM_AT),
        })
    }
}
