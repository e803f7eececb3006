//! A section of an open file: its elements, each block checked when it is first touched.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::blocks::GoodBlocks;
use super::container::Shared;
use super::fault::Fault;
use super::kind::Element;
use super::preamble::u64_at;
use crate::Result;

/// Where a section lies and what is known of it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) number: u32,
    /// What errors call it.
    pub(super) part: &'static str,
    /// Its bytes in the file: inside it, aligned, and whole elements.
    bytes: Range<usize>,
    /// The bytes of its checksums, 8 a block, in the file.
    checksums: Range<usize>,
    /// Bytes that a checksum covers; the last block may be shorter.
    block_size: usize,
    good: GoodBlocks,
}

impl Place {
    /// A section that lies inside the file, as do its checksums, one for each of its blocks.
    pub(super) fn new(
        number: u32,
        part: &'static str,
        bytes: Range<usize>,
        checksums: Range<usize>,
        block_size: usize,
    ) -> Place {
        let good = GoodBlocks::none_of(bytes.len().div_ceil(block_size));
        Place {
            number,
            part,
            bytes,
            checksums,
            block_size,
            good,
        }
    }

    /// Checks the blocks that hold these bytes of the section, unless they are known to be good.
    fn check(&self, file: &[u8], bytes: Range<usize>, fault: Fault<'_>) -> Result<()> {
        if self.good.all() || bytes.is_empty() {
            return Ok(());
        }
        let blocks = bytes.start / self.block_size..bytes.end.div_ceil(self.block_size);
        let section = &file[self.bytes.clone()];
        let checksums = &file[self.checksums.clone()];
        self.good.check_missing(blocks, |block| {
            let start = block * self.block_size;
            let end = section.len().min(start + self.block_size);
            let expected = u64_at(checksums, block * size_of::<u64>());
            match xxh3_64(&section[start..end]) == expected {
                true => Ok(()),
                false => Err(fault.damaged(self.part)),
            }
        })
    }
}

/// The elements of one section. Clones share the open file and what has been checked of it.
pub(crate) struct Section<T> {
    file: Arc<Shared>,
    /// Which of the file's places.
    place: usize,
    element: PhantomData<T>,
}

impl<T: Element> Section<T> {
    pub(super) fn new(file: Arc<Shared>, place: usize) -> Section<T> {
        Section {
            file,
            place,
            element: PhantomData,
        }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.place().bytes.len() / size_of::<T>()
    }

    /// Some of the elements. Reads, beside these, what shares a block with them and was not read
    /// before; so the first call for a vector costs the hash of a block or two, a later one nothing.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Damaged`], with the name of the section, if a block is not what was written,
    /// or if the section ends before the range does: ranges come from the file itself.
    pub(crate) fn checked(&self, elements: Range<usize>) -> Result<&[T]> {
        let place = self.place();
        let fault = Fault(&self.file.path);
        let damaged = || fault.damaged(place.part);
        if elements.start > elements.end || elements.end > self.len() {
            return Err(damaged());
        }
        let file = self.file.bytes.all();
        let bytes = elements.start * size_of::<T>()..elements.end * size_of::<T>();
        place.check(file, bytes.clone(), fault)?;
        let bytes = &file[place.bytes.clone()][bytes];
        bytemuck::try_cast_slice(bytes).map_err(|_| damaged())
    }

    /// All elements.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Damaged`], with the name of the section, if any block is not what was written.
    pub(crate) fn all(&self) -> Result<&[T]> {
        self.checked(0..self.len())
    }

    /// Asks for elements that will be wanted soon: the processor for those that were checked before,
    /// and the system for the others. Of a file that is not in memory it then reads several places at
    /// once, where [`Section::checked`] would wait for one after another.
    pub(crate) fn prefetch(&self, elements: Range<usize>) {
        let place = self.place();
        let length = place.bytes.len();
        let at = |element: usize| element.saturating_mul(size_of::<T>()).min(length);
        let bytes = at(elements.start)..at(elements.end);
        if bytes.is_empty() {
            return;
        }
        let blocks = bytes.start / place.block_size..bytes.end.div_ceil(place.block_size);
        if place.good.all() || !place.good.any_missing(blocks.clone()) {
            longtrainer_kernels::prefetch(&self.file.bytes.all()[place.bytes.clone()][bytes]);
            return;
        }
        let end = length.min(blocks.end * place.block_size);
        let start = place.bytes.start;
        self.file
            .bytes
            .prefetch(start + blocks.start * place.block_size..start + end);
    }

    fn place(&self) -> &Place {
        &self.file.places[self.place]
    }
}

impl<T> Clone for Section<T> {
    fn clone(&self) -> Self {
        Section {
            file: Arc::clone(&self.file),
            place: self.place,
            element: PhantomData,
        }
    }
}

impl<T: Element> fmt::Debug for Section<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section")
            .field("path", &self.file.path)
            .field("part", &self.place().part)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
