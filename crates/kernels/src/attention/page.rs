//! A page's memory: halves that start on a cache line.
//!
//! Vectors of halves are 16 or 32 bytes long and lie side by side, so from an aligned start none of
//! them lies across two lines.

/// Halves of a line.
const LINE: usize = 32;

/// A cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u16; LINE]);

/// A fixed number of halves.
#[derive(Debug, Clone)]
pub(super) struct Page(Box<[Line]>);

impl Page {
    /// Zeros: `length` of them, filled up to whole lines.
    pub(super) fn zeros(length: usize) -> Self {
        Self(vec![Line([0; LINE]); length.div_ceil(LINE)].into_boxed_slice())
    }

    pub(super) fn halves(&self) -> &[u16] {
        // SAFETY: a line is 32 halves and nothing else: with 64 bytes it has no padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LINE) }
    }

    pub(super) fn halves_mut(&mut self) -> &mut [u16] {
        // SAFETY: as above, and the lines are borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LINE) }
    }
}
