//! Which kinds of sections there are, and of what their elements are.

use std::marker::PhantomData;

/// A number that stands in a file as it does in memory.
pub(crate) trait Element: bytemuck::Pod + Send + Sync {}

impl Element for u8 {}
impl Element for u32 {}
impl Element for u64 {}
impl Element for f32 {}

/// A kind of section whose elements are `T`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SectionKind<T> {
    pub(super) number: u32,
    /// What errors call it.
    pub(super) part: &'static str,
    element: PhantomData<T>,
}

impl<T: Element> SectionKind<T> {
    const fn new(number: u32, part: &'static str) -> Self {
        SectionKind {
            number,
            part,
            element: PhantomData,
        }
    }

    const fn known(&self) -> KnownKind {
        KnownKind {
            number: self.number,
            part: self.part,
            element_size: size_of::<T>(),
        }
    }
}

pub(crate) const IDS: SectionKind<u64> = SectionKind::new(1, "ids");
pub(crate) const VECTORS: SectionKind<f32> = SectionKind::new(2, "vectors");
pub(crate) const BYTE_CODES: SectionKind<u8> = SectionKind::new(3, "byte codes");
pub(crate) const BYTE_FACTORS: SectionKind<f32> = SectionKind::new(4, "byte factors");
pub(crate) const BYTE_ERRORS: SectionKind<f32> = SectionKind::new(5, "byte errors");
pub(crate) const CENTROIDS: SectionKind<f32> = SectionKind::new(6, "centroids");
pub(crate) const LIST_LENGTHS: SectionKind<u32> = SectionKind::new(7, "list lengths");
pub(crate) const LIST_ROWS: SectionKind<u32> = SectionKind::new(8, "list rows");
pub(crate) const LIST_CODES: SectionKind<u8> = SectionKind::new(9, "list codes");
pub(crate) const LIST_FACTORS: SectionKind<f32> = SectionKind::new(10, "list factors");
pub(crate) const LIST_OFFSETS: SectionKind<f32> = SectionKind::new(11, "list offsets");
pub(crate) const TUNING: SectionKind<u64> = SectionKind::new(12, "tuning");

pub(crate) const BYTE_OFFSETS: SectionKind<f32> = SectionKind::new(13, "byte offsets");
pub(crate) const CENTROID_LENGTHS: SectionKind<f32> = SectionKind::new(14, "centroid lengths");

/// A kind of section as a reader meets it, before it asks for its elements.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownKind {
    number: u32,
    pub(super) part: &'static str,
    /// In bytes.
    pub(super) element_size: usize,
}

const KNOWN: [KnownKind; 14] = [
    IDS.known(),
    VECTORS.known(),
    BYTE_CODES.known(),
    BYTE_FACTORS.known(),
    BYTE_ERRORS.known(),
    CENTROIDS.known(),
    LIST_LENGTHS.known(),
    LIST_ROWS.known(),
    LIST_CODES.known(),
    LIST_FACTORS.known(),
    LIST_OFFSETS.known(),
    TUNING.known(),
    BYTE_OFFSETS.known(),
    CENTROID_LENGTHS.known(),
];

/// The kind with this number, if this program knows it.
pub(super) fn known(number: u32) -> Option<KnownKind> {
    KNOWN.into_iter().find(|kind| kind.number == number)
}
