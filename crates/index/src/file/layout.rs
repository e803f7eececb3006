//! Where the parts of a file of version 2 lie: it follows from the lengths of its sections.
//!
//! The writer puts the offsets into the section table, and the reader refuses a table that says
//! otherwise. So no two parts overlap, none is misaligned, and every byte belongs to a part or to
//! the zeros between two of them.

use std::ops::Range;

use super::preamble::HEADER_LENGTH;

/// Every part starts at a multiple of this, so that a mapped file is aligned for every processor.
pub(super) const ALIGNMENT: u64 = 64;
/// Length of an entry of the section table.
pub(super) const ENTRY_LENGTH: usize = 48;

/// What a section needs of the file: lengths in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) length: u64,
    /// Each block has a checksum; the last one may be shorter. At least 1.
    pub(super) block_size: u64,
}

impl Extent {
    pub(super) fn blocks(&self) -> u64 {
        self.length.div_ceil(self.block_size)
    }
}

/// Where the parts lie: in order, the table, all sections, and the checksums of all sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) sections: Vec<Range<u64>>,
    pub(super) checksums: Vec<Range<u64>>,
    /// The zeros before each of these parts.
    pub(super) padding: Vec<Range<u64>>,
    /// All of the file.
    pub(super) file: u64,
}

/// Where the section table ends.
pub(super) fn table_end(sections: u32) -> u64 {
    HEADER_LENGTH as u64 + u64::from(sections) * ENTRY_LENGTH as u64
}

impl Layout {
    /// The layout of a file with these sections, or nothing if no file could be that long.
    pub(super) fn new(extents: &[Extent]) -> Option<Layout> {
        let mut end = table_end(u32::try_from(extents.len()).ok()?);
        let mut padding = Vec::with_capacity(2 * extents.len());
        let mut place = |length: u64| {
            let start = end.checked_next_multiple_of(ALIGNMENT)?;
            padding.push(end..start);
            end = start.checked_add(length)?;
            Some(start..end)
        };
        let sections = extents.iter().map(|extent| place(extent.length));
        let sections = sections.collect::<Option<_>>()?;
        let checksums = extents.iter().map(|extent| {
            let length = extent.blocks().checked_mul(size_of::<u64>() as u64)?;
            place(length)
        });
        let checksums = checksums.collect::<Option<_>>()?;
        Some(Layout {
            sections,
            checksums,
            padding,
            file: end,
        })
    }
}
