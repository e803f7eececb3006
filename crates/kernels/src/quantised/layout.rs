//! How repacked weights lie in memory.
//!
//! A row tile holds 16 rows of the matrix, because 16 is how many sums a 512-bit register has. It is
//! a few planes, one after another, each with an entry for every block of 32 columns, and is filled
//! up to a whole cache line:
//!
//! ```text
//! codes   8-bit layouts: 8 steps of 64 bytes. Step s has columns 4s .. 4s+4 of the block:
//!         | row 0: c c c c | row 1: c c c c | ... | row 15: c c c c |
//!         others: 4 times 64 bytes; the low halves of the i-th are step 2i, the high halves
//!         step 2i+1: the low four bits of each code
//! highs   5-bit layouts: 64 bytes; bit s of a byte is the fifth bit of step s
//!         6-bit layouts: 2 times 64 bytes; in the h-th, bits 2f and 2f+1 belong to step 4h+f
//! scales  16 half-precision numbers, one a row; twice in layouts with groups of 16 columns
//! mins    as the scales, in layouts that store the minimum
//! ```
//!
//! Four codes of a row next to each other are what one integer dot-product instruction adds up in
//! a lane, so a step is one load, and an activation is one broadcast of four bytes.

use half::f16;

use super::format::Block;

/// Columns of a block: the least multiple of the length of a row.
pub(super) const BLOCK: usize = 32;
/// Rows of a tile.
pub(super) const TILE_ROWS: usize = 16;
/// Steps of a block: columns are taken four at a time.
pub(super) const STEPS: usize = BLOCK / 4;
/// Bytes of a step, or of any other vector of a tile.
pub(super) const STEP_BYTES: usize = 4 * TILE_ROWS;
/// Bytes of the scales, or of the minimums, of a group.
const SCALE_BYTES: usize = 2 * TILE_ROWS;

/// A layout, known when the code is compiled.
pub(super) trait Layout {
    /// Bits of a code.
    const BITS: usize;
    /// Groups of a block, each with a scale: 1 or 2.
    const GROUPS: usize;
    /// Whether minimums are stored. Where they are not, the minimum is `-ZERO` scales.
    const HAS_MINIMUMS: bool;
    /// The code of weight 0 where minimums are not stored.
    const ZERO: f32;

    /// Bytes of the codes of a block.
    const CODE_BYTES: usize = if Self::BITS == 8 {
        STEPS * STEP_BYTES
    } else {
        STEPS / 2 * STEP_BYTES
    };
    /// Bytes of the high bits of a block.
    const HIGH_BYTES: usize = match Self::BITS {
        5 => STEP_BYTES,
        6 => 2 * STEP_BYTES,
        _ => 0,
    };
    /// Bytes of the scales of a block.
    const SCALE_BYTES: usize = Self::GROUPS * SCALE_BYTES;
    /// Bytes of the minimums of a block.
    const MINIMUM_BYTES: usize = if Self::HAS_MINIMUMS {
        Self::SCALE_BYTES
    } else {
        0
    };

    /// The number that a code as stored stands for: those of 8 bits are signed.
    #[inline(always)]
    fn value(code: u8) -> i32 {
        match Self::BITS {
            8 => code.cast_signed().into(),
            _ => code.into(),
        }
    }
}

macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident: $bits:literal bits, $groups:literal groups, minimums $stored:literal, zero $zero:literal;)*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name;
            impl Layout for $name {
                const BITS: usize = $bits;
                const GROUPS: usize = $groups;
                const HAS_MINIMUMS: bool = $stored;
                const ZERO: f32 = $zero;
            }
        )*

        /// A layout, known when the program runs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum LayoutKind {
            $($(#[$doc])* $name,)*
        }

        /// Compiles an expression once for each layout and runs the one asked for.
        macro_rules! with_layout {
            ($kind:expr, $layout:ident => $body:expr) => {
                match $kind {
                    $(crate::quantised::layout::LayoutKind::$name => {
                        type $layout = crate::quantised::layout::$name;
                        $body
                    })*
                }
            };
        }
    };
}

layouts! {
    /// Q4_0.
    U4: 4 bits, 1 groups, minimums false, zero 8.0;
    /// Q4_1 and Q4_K.
    U4Min: 4 bits, 1 groups, minimums true, zero 0.0;
    /// Q5_0.
    U5: 5 bits, 1 groups, minimums false, zero 16.0;
    /// Q5_1 and Q5_K.
    U5Min: 5 bits, 1 groups, minimums true, zero 0.0;
    /// Q6_K.
    U6: 6 bits, 2 groups, minimums false, zero 32.0;
    /// Q8_0, and f32 weights rounded to bytes: the one whose codes are signed.
    I8: 8 bits, 1 groups, minimums false, zero 0.0;
}

/// The planes of one row tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile<'tile> {
    pub(super) codes: &'tile [u8],
    pub(super) highs: &'tile [u8],
    pub(super) scales: &'tile [u8],
    pub(super) minimums: &'tile [u8],
}

/// Bytes of a tile of so many blocks: whole cache lines, which are as long as a step.
pub(super) fn tile_bytes<L: Layout>(blocks: usize) -> usize {
    let block = L::CODE_BYTES + L::HIGH_BYTES + L::SCALE_BYTES + L::MINIMUM_BYTES;
    (block * blocks).next_multiple_of(STEP_BYTES)
}

impl<'tile> Tile<'tile> {
    /// Finds the planes in the bytes of a tile.
    pub(super) fn new<L: Layout>(bytes: &'tile [u8], blocks: usize) -> Self {
        let (codes, rest) = bytes.split_at(blocks * L::CODE_BYTES);
        let (highs, rest) = rest.split_at(blocks * L::HIGH_BYTES);
        let (scales, rest) = rest.split_at(blocks * L::SCALE_BYTES);
        Self {
            codes,
            highs,
            scales,
            minimums: &rest[..blocks * L::MINIMUM_BYTES],
        }
    }

    /// Whether the planes have so many blocks.
    pub(super) fn fits<L: Layout>(&self, blocks: usize) -> bool {
        self.codes.len() >= blocks * L::CODE_BYTES
            && self.highs.len() >= blocks * L::HIGH_BYTES
            && self.scales.len() >= blocks * L::SCALE_BYTES
            && self.minimums.len() >= blocks * L::MINIMUM_BYTES
    }

    /// The code of a row and column of a block; 8-bit codes as their bits.
    pub(super) fn code<L: Layout>(&self, block: usize, row: usize, column: usize) -> u8 {
        let (step, byte) = (column / 4, row * 4 + column % 4);
        let codes = &self.codes[block * L::CODE_BYTES..];
        if L::BITS == 8 {
            return codes[step * STEP_BYTES + byte];
        }
        let low = (codes[step / 2 * STEP_BYTES + byte] >> (step % 2 * 4)) & 15;
        let highs = &self.highs[block * L::HIGH_BYTES..];
        match L::BITS {
            5 => low | (((highs[byte] >> step) & 1) << 4),
            6 => low | (((highs[step / 4 * STEP_BYTES + byte] >> (step % 4 * 2)) & 3) << 4),
            _ => low,
        }
    }

    /// Scale and minimum of a row in a group of a block.
    pub(super) fn scale_and_minimum<L: Layout>(
        &self,
        block: usize,
        group: usize,
        row: usize,
    ) -> (f32, f32) {
        let at = block * L::SCALE_BYTES + group * SCALE_BYTES + row * 2;
        let number = |plane: &[u8]| f16::from_le_bytes([plane[at], plane[at + 1]]).to_f32();
        let scale = number(self.scales);
        match L::HAS_MINIMUMS {
            true => (scale, number(self.minimums)),
            false => (scale, -L::ZERO * scale),
        }
    }
}

/// Writes one block of one row into the bytes of its tile, which are zero there.
pub(super) fn put<L: Layout>(
    tile: &mut [u8],
    blocks: usize,
    row: usize,
    index: usize,
    block: &Block,
) {
    let (codes, rest) = tile.split_at_mut(blocks * L::CODE_BYTES);
    let (highs, rest) = rest.split_at_mut(blocks * L::HIGH_BYTES);
    let (scales, minimums) = rest.split_at_mut(blocks * L::SCALE_BYTES);
    let codes = &mut codes[index * L::CODE_BYTES..];
    let highs = &mut highs[index * L::HIGH_BYTES..];
    for (column, code) in block.codes.iter().enumerate() {
        let (step, byte) = (column / 4, row * 4 + column % 4);
        if L::BITS == 8 {
            codes[step * STEP_BYTES + byte] = *code;
            continue;
        }
        codes[step / 2 * STEP_BYTES + byte] |= (code & 15) << (step % 2 * 4);
        match L::BITS {
            5 => highs[byte] |= (code >> 4) << step,
            6 => highs[step / 4 * STEP_BYTES + byte] |= (code >> 4) << (step % 4 * 2),
            _ => {}
        }
    }
    for group in 0..L::GROUPS {
        let at = index * L::SCALE_BYTES + group * SCALE_BYTES + row * 2;
        scales[at..at + 2].copy_from_slice(&block.scales[group].to_le_bytes());
        if L::HAS_MINIMUMS {
            minimums[at..at + 2].copy_from_slice(&block.minimums[group].to_le_bytes());
        }
    }
}
