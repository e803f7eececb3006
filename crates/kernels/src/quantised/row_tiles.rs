//! Rounded activations in the order in which a tile register takes them: 16 rows of a block together.
//!
//! A register is filled with 16 rows that lie a fixed distance apart. Taken from the rows as `rows` has
//! them, a quarter of these would cross a cache line, and the 16 scales beside them would cost a pointer
//! each. So the rows are gathered once for all products, where there are enough of them.

use super::layout::{BLOCK, Layout};
use super::rows::RowBlock;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;

/// The fewest rows that are worth a tile. With any number of rows a tile costs some 40 cycles, which
/// AVX-512 spends on 7 of them (see `amx`).
const FEWEST: usize = 7;

/// 32 columns of 16 rows; rows beyond the last are zeros.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct RowTile {
    pub(super) codes: [[i8; BLOCK]; ROWS],
    pub(super) scales: [f32; ROWS],
    /// As in a [`RowBlock`], with the scale in them.
    sums: [f32; ROWS],
    half_sums: [[f32; ROWS]; 2],
}

impl Default for RowTile {
    fn default() -> Self {
        Self {
            codes: [[0; BLOCK]; ROWS],
            scales: [0.0; ROWS],
            sums: [0.0; ROWS],
            half_sums: [[0.0; ROWS]; 2],
        }
    }
}

impl RowTile {
    /// The sums of a group of the layout, times the scales.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Nobody else has the instructions.
    #[inline(always)]
    pub(super) fn group_sums<L: Layout>(&self, group: usize) -> &[f32; ROWS] {
        match L::GROUPS {
            1 => &self.sums,
            _ => &self.half_sums[group],
        }
    }

    fn put(&mut self, row: usize, block: &RowBlock) {
        self.codes[row] = block.codes;
        self.scales[row] = block.scale;
        self.sums[row] = block.sum;
        for (to, sum) in self.half_sums.iter_mut().zip(block.half_sums) {
            to[row] = sum;
        }
    }
}

/// How many rows of so many go into tiles: whole tiles, and a last one if it is worth it.
pub(super) fn tiled_rows(count: usize) -> usize {
    match count % ROWS {
        rest if rest < FEWEST => count - rest,
        _ => count,
    }
}

/// Fills the tiles of some groups of 16 rows, from number `first` on; a row is `width` blocks.
pub(super) fn gather(blocks: &[RowBlock], width: usize, first: usize, tiles: &mut [RowTile]) {
    for (group, tiles) in (first..).zip(tiles.chunks_exact_mut(width)) {
        for row in 0..ROWS {
            let at = (group * ROWS + row) * width;
            match blocks.get(at..at + width) {
                Some(blocks) => {
                    for (tile, block) in tiles.iter_mut().zip(blocks) {
                        tile.put(row, block);
                    }
                }
                None => tiles
                    .iter_mut()
                    .for_each(|tile| tile.put(row, &RowBlock::ZERO)),
            }
        }
    }
}
