//! Files of version 1, which has two sections, each with one checksum, and no table.
//!
//! Offsets are not stored: they follow from the dimension and the count. To the rest of the crate a
//! section of such a file is one block, whose checksum stands in the header; so all of it is read
//! when some of it is first touched.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::container::{Parsed, check_padding, in_memory};
use super::fault::Fault;
use super::header::Fields;
use super::kind::{IDS, VECTORS};
use super::layout::ALIGNMENT;
use super::preamble::{
    HEADER_LENGTH, HeaderBytes, check_header, metric_of, u16_at, u32_at, u64_at,
};
use super::section::Place;
use crate::Result;

/// The kind of index: exact. The only one of this version.
const KIND_FLAT: u16 = 1;

const KIND_AT: usize = 16;
const METRIC_AT: usize = 18;
const DIMENSION_AT: usize = 20;
const COUNT_AT: usize = 24;
const REVISION_AT: usize = 32;
const IDS_CHECKSUM: Range<usize> = 40..48;
const VECTORS_CHECKSUM: Range<usize> = 48..56;

/// Where the sections lie.
struct Layout {
    ids: Range<u64>,
    /// Zeros between the ids and the vectors.
    padding: Range<u64>,
    vectors: Range<u64>,
}

/// The contents of a file of version 1 that starts with `header`.
pub(super) fn contents(header: &HeaderBytes, file: &[u8], fault: Fault<'_>) -> Result<Parsed> {
    check_header(header, fault)?;
    let fields = fields(header).ok_or_else(|| fault.damaged("header"))?;
    let layout = layout(&fields).ok_or_else(|| fault.damaged("header"))?;
    fault.check_length(layout.vectors.end, file.len() as u64)?;
    check_padding(&[layout.padding], file, fault)?;
    let places = vec![
        Place::new(
            IDS.number,
            IDS.part,
            in_memory(&layout.ids),
            IDS_CHECKSUM,
            one_block(&layout.ids),
        ),
        Place::new(
            VECTORS.number,
            VECTORS.part,
            in_memory(&layout.vectors),
            VECTORS_CHECKSUM,
            one_block(&layout.vectors),
        ),
    ];
    Ok(Parsed { fields, places })
}

/// What the header says; nothing if no writer of this version says so.
fn fields(header: &HeaderBytes) -> Option<Fields> {
    let fields = Fields {
        kind: u16_at(header, KIND_AT),
        metric: metric_of(u16_at(header, METRIC_AT))?,
        dimension: u32_at(header, DIMENSION_AT),
        count: u64_at(header, COUNT_AT),
        revision: u64_at(header, REVISION_AT),
    };
    // No block of an empty section will ever be compared.
    let nothing = xxh3_64(&[]);
    let checksums = [IDS_CHECKSUM, VECTORS_CHECKSUM].map(|place| u64_at(header, place.start));
    let sound = fields.kind == KIND_FLAT
        && fields.dimension > 0
        && (fields.count > 0 || checksums == [nothing; 2]);
    sound.then_some(fields)
}

/// Where the sections lie, or nothing if no file could be that long.
fn layout(fields: &Fields) -> Option<Layout> {
    let start = HEADER_LENGTH as u64;
    let ids = fields.count.checked_mul(size_of::<u64>() as u64)?;
    let ids_end = start.checked_add(ids)?;
    let vectors_start = ids_end.checked_next_multiple_of(ALIGNMENT)?;
    let vector = u64::from(fields.dimension) * size_of::<f32>() as u64;
    let vectors = fields.count.checked_mul(vector)?;
    let vectors_end = vectors_start.checked_add(vectors)?;
    Some(Layout {
        ids: start..ids_end,
        padding: ids_end..vectors_start,
        vectors: vectors_start..vectors_end,
    })
}

/// The size of the one block that a section is.
fn one_block(section: &Range<u64>) -> usize {
    in_memory(section).len().max(1)
}
