//! Memory that begins where a cache line does.
//!
//! A vector of 64 bytes that straddles two cache lines costs two loads, and weights are nothing but
//! such vectors, one after another. A `Vec` starts where the allocator likes, so this one is a line
//! longer than it need be and its first bytes are skipped. Memory that is asked for as zeros of a
//! primitive type is touched by nobody before the threads that fill it; that of an aligned type
//! would be filled by the caller alone.

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// A word of the memory.
type Word = u64;

/// Cache lines that hold integers.
#[derive(Debug)]
pub(super) struct Lines {
    words: Vec<Word>,
    /// The first word that begins a line. Words do not move as long as nobody makes the `Vec` grow.
    start: usize,
    lines: usize,
}

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
        const WORDS: usize = LINE / size_of::<Word>();
        // A number of lines that is too large for memory stays so, and the allocation fails.
        let words = vec![0; lines.saturating_mul(WORDS).saturating_add(WORDS - 1)];
        let misplaced = words.as_ptr().addr() % LINE / size_of::<Word>();
        let start = (WORDS - misplaced) % WORDS;
        Self {
            words,
            start,
            lines,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines * LINE
    }

    pub(super) fn bits<B: Bits>(&self) -> &[B] {
        let length = self.bytes() / size_of::<B>();
        let words = &self.words[self.start..];
        // SAFETY: at most 7 of the 7 words that were asked for beyond the lines are skipped, so
        // `bytes()` initialised bytes are left; `B` has no invalid pattern and an alignment that
        // divides a line's.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), length) }
    }

    pub(super) fn bits_mut<B: Bits>(&mut self) -> &mut [B] {
        let length = self.bytes() / size_of::<B>();
        let words = &mut self.words[self.start..];
        // SAFETY: as in `bits`; what is written through the slice has no padding, so the words stay
        // initialised, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), length) }
    }
}
