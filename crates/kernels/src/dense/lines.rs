//! Memory in whole cache lines.
//!
//! A vector of 64 bytes that straddles two cache lines costs two loads, and weights are nothing but
//! such vectors, one after another. A `Vec<u16>` starts where the allocator likes, so the packed
//! weights are kept as a `Vec` of lines and seen through as integers.

/// One cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Cache lines that hold integers.
#[derive(Debug, Clone)]
pub(super) struct Lines(Vec<Line>);

/// The integers that lines are seen as: the bits of f32, and of f16 or bfloat16.
///
/// # Safety
///
/// Every pattern of bits is a value, there are no padding bytes, and size and alignment divide
/// [`LINE`].
pub(super) unsafe trait Bits: Copy + Send + Sync {}

// SAFETY: an integer of 4 bytes.
unsafe impl Bits for u32 {}
// SAFETY: an integer of 2 bytes.
unsafe impl Bits for u16 {}

impl Lines {
    pub(super) fn zeroed(lines: usize) -> Self {
        Self(vec![Line([0; LINE]); lines])
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len() * LINE
    }

    pub(super) fn bits<B: Bits>(&self) -> &[B] {
        let length = self.bytes() / size_of::<B>();
        // SAFETY: the lines are initialised memory of `bytes()` bytes; `B` has no invalid pattern
        // and an alignment that divides a line's.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), length) }
    }

    pub(super) fn bits_mut<B: Bits>(&mut self) -> &mut [B] {
        let length = self.bytes() / size_of::<B>();
        // SAFETY: as in `bits`; what is written through the slice has no padding, so the lines stay
        // initialised, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), length) }
    }
}
