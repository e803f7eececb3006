//! Writes the bytes of an index file, version 2, from front to back.
//!
//! Only the header and the table, which hold checksums of the rest, are written last; until then
//! zeros stand in their place, so that what was begun and not finished is no index.

use std::io::{self, BufWriter, Seek, Write};
use std::ops::Range;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::header::{Fields, Header};
use super::kind::{Element, SectionKind};
use super::layout::{Extent, Layout, table_end};
use super::table::Entry;

/// Bytes of a section that one checksum covers.
pub(super) const BLOCK_SIZE: u32 = 16 * 1024;
/// Bytes that are gathered before the operating system gets them.
const BUFFER: usize = 64 * 1024;

/// A section to be written.
#[derive(Debug, Clone)]
pub(crate) struct SectionSource<'a> {
    pub(super) number: u32,
    pub(super) element_size: u16,
    pub(super) flags: u16,
    pub(super) block_size: u32,
    /// Its bytes, one part after another.
    pub(super) parts: Vec<&'a [u8]>,
}

impl<'a> SectionSource<'a> {
    /// A section of a kind, whose elements are those of `parts`, one after another. They need not
    /// lie together in memory, nor do the parts' lengths leave a trace in the file.
    pub(crate) fn new<T: Element>(
        kind: SectionKind<T>,
        parts: impl IntoIterator<Item = &'a [T]>,
    ) -> SectionSource<'a> {
        SectionSource {
            number: kind.number,
            element_size: size_of::<T>() as u16,
            flags: 0,
            block_size: BLOCK_SIZE,
            parts: parts.into_iter().map(bytemuck::cast_slice).collect(),
        }
    }

    /// The number of its kind; sections of a file are ordered by it.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    fn extent(&self) -> Extent {
        Extent {
            length: self.parts.iter().map(|part| part.len() as u64).sum(),
            block_size: u64::from(self.block_size),
        }
    }
}

/// Writes a file with these sections, ordered by their numbers, to `out`, which is empty.
pub(super) fn write(
    out: &mut (impl Write + Seek),
    fields: &Fields,
    sections: &[SectionSource<'_>],
) -> io::Result<()> {
    let extents: Vec<Extent> = sections.iter().map(SectionSource::extent).collect();
    let layout = Layout::new(&extents).ok_or(io::ErrorKind::FileTooLarge)?;
    let mut out = BufWriter::with_capacity(BUFFER, out);
    zeros(&mut out, &(0..table_end(sections.len() as u32)))?;
    let checksums = write_sections(&mut out, sections, &layout)?;
    write_checksums(&mut out, &checksums, &layout)?;
    out.rewind()?;
    out.write_all(&header_and_table(fields, sections, &checksums, &layout))?;
    out.flush()
}

/// Writes all sections; gives the checksums of each, in bytes.
fn write_sections(
    out: &mut impl Write,
    sections: &[SectionSource<'_>],
    layout: &Layout,
) -> io::Result<Vec<Vec<u8>>> {
    let padded = sections.iter().zip(&layout.padding);
    padded
        .map(|(section, padding)| {
            zeros(out, padding)?;
            write_section(out, section)
        })
        .collect()
}

fn write_section(out: &mut impl Write, section: &SectionSource<'_>) -> io::Result<Vec<u8>> {
    let mut checksums = BlockChecksums::new(section.block_size as usize);
    for part in &section.parts {
        checksums.update(part);
        out.write_all(part)?;
    }
    Ok(checksums.finish())
}

fn write_checksums(out: &mut impl Write, checksums: &[Vec<u8>], layout: &Layout) -> io::Result<()> {
    let padded = checksums.iter().zip(&layout.padding[checksums.len()..]);
    for (checksums, padding) in padded {
        zeros(out, padding)?;
        out.write_all(checksums)?;
    }
    Ok(())
}

fn header_and_table(
    fields: &Fields,
    sections: &[SectionSource<'_>],
    checksums: &[Vec<u8>],
    layout: &Layout,
) -> Vec<u8> {
    let places = layout.sections.iter().zip(&layout.checksums);
    let table: Vec<u8> = sections
        .iter()
        .zip(checksums)
        .zip(places)
        .flat_map(|((section, checksums), (place, checksums_place))| {
            let entry = Entry {
                number: section.number,
                element_size: section.element_size,
                flags: section.flags,
                offset: place.start,
                length: place.end - place.start,
                checksums_offset: checksums_place.start,
                checksums_checksum: xxh3_64(checksums),
                block_size: section.block_size,
            };
            entry.encode()
        })
        .collect();
    let header = Header {
        fields: *fields,
        sections: sections.len() as u32,
        table_checksum: xxh3_64(&table),
    };
    [&header.encode()[..], &table].concat()
}

fn zeros(out: &mut impl Write, place: &Range<u64>) -> io::Result<()> {
    let length = place.end - place.start;
    io::copy(&mut io::Read::take(io::repeat(0), length), out).map(drop)
}

/// The checksums of a section whose bytes come in parts.
struct BlockChecksums {
    block_size: usize,
    /// Of the block that was begun.
    hash: Xxh3,
    /// Bytes of that block so far.
    begun: usize,
    finished: Vec<u8>,
}

impl BlockChecksums {
    fn new(block_size: usize) -> BlockChecksums {
        BlockChecksums {
            block_size,
            hash: Xxh3::new(),
            begun: 0,
            finished: Vec::new(),
        }
    }

    fn update(&mut self, mut part: &[u8]) {
        while !part.is_empty() {
            let length = part.len().min(self.block_size - self.begun);
            let (bytes, rest) = part.split_at(length);
            self.hash.update(bytes);
            self.begun += length;
            part = rest;
            if self.begun == self.block_size {
                self.end_block();
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.begun > 0 {
            self.end_block();
        }
        self.finished
    }

    fn end_block(&mut self) {
        self.finished.extend(self.hash.digest().to_le_bytes());
        self.hash.reset();
        self.begun = 0;
    }
}
