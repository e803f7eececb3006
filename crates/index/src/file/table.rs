//! The section table of an index file, version 2: an entry a section.

use xxhash_rust::xxh3::xxh3_64;

use super::fault::Fault;
use super::header::Header;
use super::kind;
use super::layout::{ENTRY_LENGTH, Extent, Layout, table_end};
use super::preamble::{HEADER_LENGTH, u16_at, u32_at, u64_at};
use crate::{Error, Result};

const NUMBER_AT: usize = 0;
const ELEMENT_SIZE_AT: usize = 4;
const FLAGS_AT: usize = 6;
const OFFSET_AT: usize = 8;
const LENGTH_AT: usize = 16;
const CHECKSUMS_OFFSET_AT: usize = 24;
const CHECKSUMS_CHECKSUM_AT: usize = 32;
const BLOCK_SIZE_AT: usize = 40;
const RESERVED_AT: usize = 44;

/// A reader that does not know the kind of a section with this flag goes on without it.
pub(super) const OPTIONAL: u16 = 1;
const MINIMUM_BLOCK: u32 = 64;
const MAXIMUM_BLOCK: u32 = 1 << 30;
/// What errors call the table.
const PART: &str = "section table";

/// What an entry says. Offsets and lengths in bytes, offsets from the start of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: u32,
    /// In bytes: 1, 2, 4 or 8.
    pub(super) element_size: u16,
    pub(super) flags: u16,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) checksums_offset: u64,
    /// The checksum of the section's checksums.
    pub(super) checksums_checksum: u64,
    /// In bytes: a power of two.
    pub(super) block_size: u32,
}

impl Entry {
    pub(super) fn encode(&self) -> [u8; ENTRY_LENGTH] {
        let mut bytes = [0; ENTRY_LENGTH];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(NUMBER_AT, &self.number.to_le_bytes());
        put(ELEMENT_SIZE_AT, &self.element_size.to_le_bytes());
        put(FLAGS_AT, &self.flags.to_le_bytes());
        put(OFFSET_AT, &self.offset.to_le_bytes());
        put(LENGTH_AT, &self.length.to_le_bytes());
        put(CHECKSUMS_OFFSET_AT, &self.checksums_offset.to_le_bytes());
        put(
            CHECKSUMS_CHECKSUM_AT,
            &self.checksums_checksum.to_le_bytes(),
        );
        put(BLOCK_SIZE_AT, &self.block_size.to_le_bytes());
        bytes
    }

    /// Reads an entry; nothing if no writer makes such a one.
    fn decode(bytes: &[u8; ENTRY_LENGTH]) -> Option<Entry> {
        let entry = Entry {
            number: u32_at(bytes, NUMBER_AT),
            element_size: u16_at(bytes, ELEMENT_SIZE_AT),
            flags: u16_at(bytes, FLAGS_AT),
            offset: u64_at(bytes, OFFSET_AT),
            length: u64_at(bytes, LENGTH_AT),
            checksums_offset: u64_at(bytes, CHECKSUMS_OFFSET_AT),
            checksums_checksum: u64_at(bytes, CHECKSUMS_CHECKSUM_AT),
            block_size: u32_at(bytes, BLOCK_SIZE_AT),
        };
        let sound = matches!(entry.element_size, 1 | 2 | 4 | 8)
            && entry.length.is_multiple_of(u64::from(entry.element_size))
            && entry.block_size.is_power_of_two()
            && (MINIMUM_BLOCK..=MAXIMUM_BLOCK).contains(&entry.block_size)
            && entry.flags & !OPTIONAL == 0
            && u32_at(bytes, RESERVED_AT) == 0;
        sound.then_some(entry)
    }

    pub(super) fn extent(&self) -> Extent {
        Extent {
            length: self.length,
            block_size: u64::from(self.block_size),
        }
    }
}

/// Reads the table of a file and checks it against the header, its own layout and the file's length.
pub(super) fn read(file: &[u8], header: &Header, fault: Fault<'_>) -> Result<(Vec<Entry>, Layout)> {
    let end = table_end(header.sections);
    fault.check_present(end, file.len() as u64)?;
    let table = &file[HEADER_LENGTH..end as usize];
    if xxh3_64(table) != header.table_checksum {
        return Err(fault.damaged(PART));
    }
    let entries = decode_all(table).ok_or_else(|| fault.damaged(PART))?;
    check_kinds(&entries, fault)?;
    let layout = lay_out(&entries).ok_or_else(|| fault.damaged(PART))?;
    fault.check_length(layout.file, file.len() as u64)?;
    Ok((entries, layout))
}

/// The entries of a table; nothing if one is unsound or the kinds do not ascend.
fn decode_all(table: &[u8]) -> Option<Vec<Entry>> {
    let entries = table.as_chunks().0.iter().map(Entry::decode);
    let entries = entries.collect::<Option<Vec<_>>>()?;
    entries
        .is_sorted_by(|entry, next| entry.number < next.number)
        .then_some(entries)
}

fn check_kinds(entries: &[Entry], fault: Fault<'_>) -> Result<()> {
    for entry in entries {
        match kind::known(entry.number) {
            Some(kind) if kind.element_size == usize::from(entry.element_size) => {}
            Some(_) => return Err(fault.damaged(PART)),
            None if entry.flags & OPTIONAL != 0 => {}
            None => {
                return Err(Error::UnknownSection {
                    path: fault.0.to_owned(),
                    number: entry.number,
                });
            }
        }
    }
    Ok(())
}

/// The layout of a file with these sections, if the entries say the same.
fn lay_out(entries: &[Entry]) -> Option<Layout> {
    let extents: Vec<Extent> = entries.iter().map(Entry::extent).collect();
    let layout = Layout::new(&extents)?;
    let places = layout.sections.iter().zip(&layout.checksums);
    entries
        .iter()
        .zip(places)
        .all(|(entry, (section, checksums))| {
            entry.offset == section.start && entry.checksums_offset == checksums.start
        })
        .then_some(layout)
}
