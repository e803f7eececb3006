//! What the tests of the file share: small files in memory, and ways to make and to look at them.

use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::file::bytes::Bytes;
use crate::file::fault::Fault;
use crate::file::layout::{ENTRY_LENGTH, table_end};
use crate::file::preamble::{self, HEADER_LENGTH, u32_at, u64_at};
use crate::file::table::Entry;
use crate::file::write::write;
use crate::file::*;
use crate::{Metric, Result};

/// What errors about a file in memory call it.
pub(super) const PATH: &str = "some.index";

/// The header of an exact index.
pub(super) fn fields(metric: Metric, dimension: u32, count: u64) -> Fields {
    Fields {
        kind: 1,
        metric,
        dimension,
        count,
        revision: 0x0123_4567_89ab_cdef,
    }
}

/// A section of each kind of element, of different lengths, one of them empty.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) ids: Vec<u64>,
    pub(super) vectors: Vec<f32>,
    pub(super) codes: Vec<u8>,
    pub(super) rows: Vec<u32>,
}

impl Sample {
    /// Of some blocks of 64 bytes each, whole ones and one begun.
    pub(super) fn new() -> Sample {
        Sample {
            ids: (0..17).map(|i| i * i + 3).collect(),
            vectors: (0..51).map(|i| i as f32 / 4.0 - 1.0).collect(),
            codes: (0..77).map(|i| i as u8 ^ 0x5a).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn fields(&self) -> Fields {
        fields(Metric::L2, 3, self.ids.len() as u64)
    }

    pub(super) fn sources(&self, block_size: u32) -> Vec<SectionSource<'_>> {
        let mut sources = vec![
            SectionSource::new(IDS, [&self.ids[..]]),
            SectionSource::new(VECTORS, [&self.vectors[..]]),
            SectionSource::new(BYTE_CODES, [&self.codes[..]]),
            SectionSource::new(LIST_ROWS, [&self.rows[..]]),
        ];
        for source in &mut sources {
            source.block_size = block_size;
        }
        sources
    }

    /// A file of version 2 with blocks of 64 bytes.
    pub(super) fn file(&self) -> Vec<u8> {
        file(&self.fields(), &self.sources(64))
    }

    /// What a container holds, all of it checked.
    pub(super) fn read(container: &Container) -> Result<Sample> {
        fn all<T: Element>(container: &Container, kind: SectionKind<T>) -> Result<Vec<T>> {
            let section = container.section(kind);
            section.map_or(Ok(Vec::new()), |section| section.all().map(<[T]>::to_vec))
        }
        Ok(Sample {
            ids: all(container, IDS)?,
            vectors: all(container, VECTORS)?,
            codes: all(container, BYTE_CODES)?,
            rows: all(container, LIST_ROWS)?,
        })
    }
}

/// The bytes of a file of version 2.
pub(super) fn file(fields: &Fields, sections: &[SectionSource<'_>]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    write(&mut file, fields, sections).unwrap();
    file.into_inner()
}

/// The bytes of a file of version 1 with 5 vectors of 3 components.
pub(super) fn file_of_version_1() -> Vec<u8> {
    let mut file = vec![0; HEADER_LENGTH];
    file[16..18].copy_from_slice(&1u16.to_le_bytes());
    file[18..20].copy_from_slice(&3u16.to_le_bytes());
    file[20..24].copy_from_slice(&3u32.to_le_bytes());
    file[24..32].copy_from_slice(&5u64.to_le_bytes());
    file[32..40].copy_from_slice(&7u64.to_le_bytes());
    for id in [3u64, u64::MAX, 0, 17, 40] {
        file.extend(id.to_le_bytes());
    }
    file.resize(128, 0);
    for component in 0..15 {
        file.extend((component as f32 / 4.0 - 1.0).to_le_bytes());
    }
    seal_1(&mut file);
    file
}

/// Opens a file in memory.
pub(super) fn open_bytes(file: &[u8]) -> Result<Container> {
    let bytes = Bytes::read(file, file.len() as u64).unwrap();
    Container::over(bytes, Path::new(PATH))
}

/// Opens a file in memory and checks all of its sections.
pub(super) fn open_all(file: &[u8]) -> Result<Container> {
    let container = open_bytes(file)?;
    container.verify()?;
    Ok(container)
}

/// Where the entry of a section stands, by the section's place in the table.
pub(super) fn entry_at(section: usize) -> usize {
    HEADER_LENGTH + section * ENTRY_LENGTH
}

/// Makes the checksums of header and table fit what is there, as far as it is there.
pub(super) fn seal_header(file: &mut [u8]) {
    if file.len() < HEADER_LENGTH {
        return;
    }
    let end = table_end(u32_at(file, 40));
    let table = usize::try_from(end).ok();
    if let Some(table) = table.and_then(|end| file.get(HEADER_LENGTH..end)) {
        let checksum = xxh3_64(table);
        file[48..56].copy_from_slice(&checksum.to_le_bytes());
    }
    seal_preamble(file, 2);
}

/// Makes all checksums of version 2 fit what is there, as far as it is there.
pub(super) fn seal(file: &mut [u8]) {
    for number in 0..sections_present(file) {
        let entry = entry_of(file, number);
        seal_section(file, entry_at(number), &entry);
    }
    seal_header(file);
}

/// Makes all checksums of version 1 fit what is there, as far as it is there.
pub(super) fn seal_1(file: &mut [u8]) {
    if file.len() < HEADER_LENGTH {
        return;
    }
    let (dimension, count) = (u64::from(u32_at(file, 20)), u64_at(file, 24));
    let ids_end = count.saturating_mul(8).saturating_add(64);
    let vectors = ids_end.div_ceil(64).saturating_mul(64);
    let vectors_end = vectors.saturating_add(count.saturating_mul(dimension * 4));
    for (place, section) in [(40, 64..ids_end), (48, vectors..vectors_end)] {
        let section = section.start as usize..section.end as usize;
        if let Some(section) = file.get(section) {
            let checksum = xxh3_64(section);
            file[place..place + 8].copy_from_slice(&checksum.to_le_bytes());
        }
    }
    seal_preamble(file, 1);
}

/// Makes the checksums of the header alone fit.
pub(super) fn seal_preamble(file: &mut [u8], version: u32) {
    if let Some(header) = file.first_chunk_mut() {
        preamble::seal(header, version);
    }
}

/// How many entries of the table are in the file.
pub(super) fn sections_present(file: &[u8]) -> usize {
    let present = file.len().saturating_sub(HEADER_LENGTH) / ENTRY_LENGTH;
    match file.len() >= HEADER_LENGTH {
        true => present.min(u32_at(file, 40) as usize),
        false => 0,
    }
}

fn entry_of(file: &[u8], number: usize) -> Entry {
    let at = entry_at(number);
    Entry {
        number: u32_at(file, at),
        element_size: 0,
        flags: 0,
        offset: u64_at(file, at + 8),
        length: u64_at(file, at + 16),
        checksums_offset: u64_at(file, at + 24),
        checksums_checksum: 0,
        block_size: u32_at(file, at + 40),
    }
}

fn seal_section(file: &mut [u8], entry_at: usize, entry: &Entry) {
    let place = |start: u64, length: u64| -> Range<usize> {
        let end = start.saturating_add(length);
        start as usize..end as usize
    };
    let Some(section) = file.get(place(entry.offset, entry.length)) else {
        return;
    };
    let blocks = section.chunks(entry.block_size.max(1) as usize);
    let checksums: Vec<u8> = blocks
        .flat_map(|block| xxh3_64(block).to_le_bytes())
        .collect();
    let place = place(entry.checksums_offset, checksums.len() as u64);
    if let Some(stored) = file.get_mut(place) {
        stored.copy_from_slice(&checksums);
    }
    let checksum = xxh3_64(&checksums).to_le_bytes();
    file[entry_at + 32..entry_at + 40].copy_from_slice(&checksum);
}

/// The file that a writer would make of what is in this one; nothing if it has sections of unknown
/// kinds.
pub(super) fn rewritten(bytes: &[u8]) -> Option<Vec<u8>> {
    let fault = Fault(Path::new(PATH));
    let (header, _) = preamble::read(bytes, fault).unwrap();
    let header = crate::file::header::Header::decode(&header, fault).unwrap();
    let (entries, layout) = crate::file::table::read(bytes, &header, fault).unwrap();
    let sources = entries.iter().zip(&layout.sections).map(|(entry, place)| {
        crate::file::kind::known(entry.number)?;
        Some(SectionSource {
            number: entry.number,
            element_size: entry.element_size,
            flags: entry.flags,
            block_size: entry.block_size,
            parts: vec![&bytes[place.start as usize..place.end as usize]],
        })
    });
    let sources: Vec<_> = sources.collect::<Option<_>>()?;
    Some(file(&header.fields, &sources))
}
