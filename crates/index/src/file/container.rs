//! An open index file: what its header says, and its sections.
//!
//! Opening reads the header, the table, the checksums and the zeros between the parts, and
//! compares each with what it must be. The sections themselves are not read: see [`Section`].

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::bytes::Bytes;
use super::fault::Fault;
use super::header::{Fields, Header};
use super::kind::{self, Element, SectionKind};
use super::layout::Layout;
use super::preamble;
use super::section::{Place, Section};
use super::table::{self, Entry};
use super::version_1;
use crate::{Error, Result};

/// An open index file of any version.
#[derive(Debug)]
pub(crate) struct Container {
    fields: Fields,
    shared: Arc<Shared>,
}

/// What the sections of an open file share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) bytes: Bytes,
    /// Of all sections whose kinds are known, ordered by their numbers.
    pub(super) places: Vec<Place>,
}

/// What there is in a file.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) fields: Fields,
    pub(super) places: Vec<Place>,
}

impl Container {
    /// Maps the file at `path` and checks everything but the insides of its sections.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the operating system refuses; [`Error::NotAnIndex`],
    /// [`Error::FormatVersion`], [`Error::UnknownSection`], [`Error::Truncated`],
    /// [`Error::TrailingBytes`] or [`Error::Damaged`] if the file is not whole or not ours;
    /// [`Error::BigEndian`] on processors that cannot read it in place.
    pub(crate) fn open(path: &Path) -> Result<Container> {
        check_endianness(path)?;
        Container::over(Bytes::open(path)?, path)
    }

    /// The container that these bytes are; `path` is for the errors.
    pub(super) fn over(bytes: Bytes, path: &Path) -> Result<Container> {
        let Parsed { fields, places } = parse(&bytes, Fault(path))?;
        let shared = Shared {
            path: path.to_owned(),
            bytes,
            places,
        };
        Ok(Container {
            fields,
            shared: Arc::new(shared),
        })
    }

    /// What the header says.
    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The section of a kind, if the file has one.
    pub(crate) fn section<T: Element>(&self, kind: SectionKind<T>) -> Option<Section<T>> {
        let mut places = self.shared.places.iter();
        let place = places.position(|place| place.number == kind.number)?;
        Some(Section::new(Arc::clone(&self.shared), place))
    }

    /// The section of a kind, which must have this many elements.
    ///
    /// # Errors
    ///
    /// [`Error::MissingSection`] if the file has none; [`Error::Damaged`] if it is longer or shorter.
    pub(crate) fn required<T: Element>(
        &self,
        kind: SectionKind<T>,
        elements: u64,
    ) -> Result<Section<T>> {
        let Some(section) = self.section(kind) else {
            return Err(Error::MissingSection {
                path: self.shared.path.clone(),
                part: kind.part,
            });
        };
        match section.len() as u64 == elements {
            true => Ok(section),
            false => Err(self.damaged(kind.part)),
        }
    }

    /// The error for a part whose checksums fit but which cannot be what was written.
    pub(crate) fn damaged(&self, part: &'static str) -> Error {
        Fault(&self.shared.path).damaged(part)
    }

    /// Reads every section and compares all its checksums.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`], with the name of the first section that is not what was written.
    pub(super) fn verify(&self) -> Result<()> {
        (0..self.shared.places.len()).try_for_each(|place| {
            Section::<u8>::new(Arc::clone(&self.shared), place)
                .all()
                .map(drop)
        })
    }
}

/// Files are little-endian and read in place.
pub(super) fn check_endianness(path: &Path) -> Result<()> {
    match cfg!(target_endian = "little") {
        true => Ok(()),
        false => Err(Error::BigEndian {
            path: path.to_owned(),
        }),
    }
}

/// Finds the parts of a file and checks all but the insides of its sections.
fn parse(bytes: &Bytes, fault: Fault<'_>) -> Result<Parsed> {
    let (header, version) = preamble::read(bytes.all(), fault)?;
    match version {
        1 => version_1::contents(&header, bytes.all(), fault),
        _ => contents(&Header::decode(&header, fault)?, bytes, fault),
    }
}

/// The contents of a file of version 2.
fn contents(header: &Header, bytes: &Bytes, fault: Fault<'_>) -> Result<Parsed> {
    let file = bytes.all();
    let (entries, layout) = table::read(file, header, fault)?;
    prefetch(&layout, bytes);
    check_checksums(&entries, &layout, file, fault)?;
    check_padding(&layout.padding, file, fault)?;
    Ok(Parsed {
        fields: header.fields,
        places: places(&entries, &layout),
    })
}

/// Has all that opening compares read at once: the zeros between the sections, and the checksums.
fn prefetch(layout: &Layout, bytes: &Bytes) {
    let between = &layout.padding[..layout.sections.len()];
    between
        .iter()
        .filter(|place| !place.is_empty())
        .for_each(|place| bytes.prefetch(in_memory(place)));
    if let Some(first) = layout.checksums.first() {
        bytes.prefetch(in_memory(&(first.start..layout.file)));
    }
}

/// Compares the checksums of each section with the table's checksum of them.
fn check_checksums(
    entries: &[Entry],
    layout: &Layout,
    file: &[u8],
    fault: Fault<'_>,
) -> Result<()> {
    let sound = entries
        .iter()
        .zip(&layout.checksums)
        .all(|(entry, place)| xxh3_64(&file[in_memory(place)]) == entry.checksums_checksum);
    match sound {
        true => Ok(()),
        false => Err(fault.damaged("checksums")),
    }
}

/// Checks that there are zeros, and nothing else, between the parts of a file.
pub(super) fn check_padding(padding: &[Range<u64>], file: &[u8], fault: Fault<'_>) -> Result<()> {
    let zeros = |place: &Range<u64>| file[in_memory(place)].iter().all(|&byte| byte == 0);
    match padding.iter().all(zeros) {
        true => Ok(()),
        false => Err(fault.damaged("padding")),
    }
}

/// The sections whose kinds are known.
fn places(entries: &[Entry], layout: &Layout) -> Vec<Place> {
    let ranges = layout.sections.iter().zip(&layout.checksums);
    let sections = entries.iter().zip(ranges);
    sections
        .filter_map(|(entry, (section, checksums))| {
            let kind = kind::known(entry.number)?;
            Some(Place::new(
                entry.number,
                kind.part,
                in_memory(section),
                in_memory(checksums),
                entry.block_size as usize,
            ))
        })
        .collect()
}

/// A range of a file that is in memory, and thus no longer than what memory can hold.
pub(super) fn in_memory(range: &Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}
