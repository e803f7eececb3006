//! Inputs in bfloat16, as the instructions want them that multiply pairs.

use crate::aligned::{Aligned, LINE};

/// RoundedPairs of a cache line, and of a row of a tile register.
pub(super) const LINE_PAIRS: usize = LINE / size_of::<u32>();

/// Token after token, pairs of columns in a u32, the even column in its lower half; an odd last one is
/// paired with zero. Each token begins on a cache line, whose last pairs are zeros. The lines of a
/// token are odd in number, because those of 16 tokens, which a tile register takes together, would
/// else compete for a few sets of the first cache.
#[derive(Debug)]
pub(super) struct RoundedPairs {
    values: Aligned<u32>,
    stride: usize,
}

#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Nobody else has the instructions.
impl RoundedPairs {
    /// Room for so many tokens, all zeros.
    pub(super) fn zeros(tokens: usize, columns: usize) -> Self {
        let lines = columns.div_ceil(2).div_ceil(LINE_PAIRS) | 1;
        let stride = lines * LINE_PAIRS;
        Self {
            values: Aligned::zeros(tokens * stride),
            stride,
        }
    }

    /// RoundedPairs from a token to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn values_mut(&mut self) -> &mut [u32] {
        &mut self.values
    }

    /// The pairs of a token, and the zeros after them.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn token(&self, token: usize) -> &[u32] {
        &self.values[token * self.stride..(token + 1) * self.stride]
    }

    /// Where [`LINE_PAIRS`] pairs of some tokens begin, the first of which is number `pair`; panics if
    /// there are not so many tokens and pairs.
    #[inline(always)]
    pub(super) fn tokens(&self, first: usize, count: usize, pair: usize) -> *const u32 {
        assert!(
            pair + LINE_PAIRS <= self.stride && (first + count) * self.stride <= self.values.len()
        );
        self.values[first * self.stride + pair..].as_ptr()
    }
}
