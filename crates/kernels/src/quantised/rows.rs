//! Activations, rounded to bytes for the integer products.
//!
//! Each block of 32 values of a row has a scale of its own, its greatest magnitude over 127, so that
//! one large value costs only its neighbours precision. Beside the codes a product needs their sums,
//! to add the weights' minimums: `sum of (d c + m) x = d (sum of c x) + m (sum of x)`, with scale `d`,
//! code `c` and minimum `m` of a weight and the activation `x`.

use crate::isa::Supported;
use crate::shape::require_rows;
use crate::simd::{Kernel, MOST_LANES, Simd};
use crate::{Error, Result, Team};

use super::layout::{BLOCK, Layout};
use super::row_tiles::{self, RowTile};

/// Rows that are worth a task of their own.
const ROWS_A_TASK: usize = 4;

/// Rows of activations as bytes. The buffer is kept from one [`fill`](Self::fill) to the next.
#[derive(Debug, Default)]
pub struct QuantisedRows {
    columns: usize,
    count: usize,
    blocks: Vec<RowBlock>,
    /// The same again in the order that AMX wants, where it is in use.
    tiles: Vec<RowTile>,
}

/// 32 values of a row: all that a product needs of them in one place, so that it follows one pointer
/// a row.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct RowBlock {
    pub(super) codes: [i8; BLOCK],
    pub(super) scale: f32,
    /// `scale * sum of codes`.
    pub(super) sum: f32,
    /// The same for each half of the block.
    pub(super) half_sums: [f32; 2],
}

impl RowBlock {
    pub(super) const ZERO: RowBlock = RowBlock {
        codes: [0; BLOCK],
        scale: 0.0,
        sum: 0.0,
        half_sums: [0.0; 2],
    };

    /// The codes of a step of the tiles, in the order of memory.
    #[inline(always)]
    pub(super) fn four_codes(&self, step: usize) -> i32 {
        let at = step * 4;
        i32::from_le_bytes([0, 1, 2, 3].map(|i| self.codes[at + i].cast_unsigned()))
    }

    /// The sum of a group of the layout, times the scale.
    #[inline(always)]
    pub(super) fn group_sum<L: Layout>(&self, group: usize) -> f32 {
        match L::GROUPS {
            1 => self.sum,
            _ => self.half_sums[group],
        }
    }
}

impl QuantisedRows {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rounds rows of `columns` values, one after another. Not finite values make the products of
    /// their row meaningless, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::PartialVector`] if the values are no whole rows, [`Error::Columns`] if a row is no
    /// multiple of 32.
    pub fn fill(&mut self, team: &Team, values: &[f32], columns: usize) -> Result<()> {
        self.fill_on(Supported::active(), team, values, columns)
    }

    pub(crate) fn fill_on(
        &mut self,
        cpu: Supported,
        team: &Team,
        values: &[f32],
        columns: usize,
    ) -> Result<()> {
        if !columns.is_multiple_of(BLOCK) {
            let block = BLOCK;
            return Err(Error::Columns { columns, block });
        }
        let count = require_rows("values", columns, values.len())?;
        let width = columns / BLOCK;
        (self.count, self.columns) = (count, columns);
        self.blocks.resize(count * width, RowBlock::ZERO);
        team.for_rows(&mut self.blocks, width, ROWS_A_TASK, |first, blocks| {
            let first = first * columns;
            let values = &values[first..first + blocks.len() * BLOCK];
            cpu.run(Quantise { values, blocks });
        });
        let tiled = match cpu.has_amx() {
            true => row_tiles::tiled_rows(count),
            false => 0,
        };
        self.fill_tiles(team, tiled);
        Ok(())
    }

    /// Gathers the first rows, 16 and 16, into tiles.
    pub(super) fn fill_tiles(&mut self, team: &Team, rows: usize) {
        let width = self.columns / BLOCK;
        let groups = rows.div_ceil(row_tiles::ROWS);
        self.tiles.resize_with(groups * width, RowTile::default);
        let blocks = &self.blocks;
        team.for_rows(&mut self.tiles, width, 1, |first, tiles| {
            row_tiles::gather(blocks, width, first, tiles);
        });
    }

    /// Rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Values of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether there are tiles.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Nobody else has the instructions.
    pub(super) fn has_tiles(&self) -> bool {
        !self.tiles.is_empty()
    }

    /// The tiles of each 16 rows, block after block.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // As above.
    pub(super) fn tiles(&self) -> impl Iterator<Item = &[RowTile]> {
        // Without columns there are no tiles.
        self.tiles.chunks_exact((self.columns / BLOCK).max(1))
    }

    /// A row.
    pub(super) fn row(&self, row: usize) -> &[RowBlock] {
        let width = self.columns / BLOCK;
        &self.blocks[row * width..(row + 1) * width]
    }
}

struct Quantise<'rows> {
    values: &'rows [f32],
    blocks: &'rows mut [RowBlock],
}

impl Kernel for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (values, _) = self.values.as_chunks::<BLOCK>();
        for (values, block) in values.iter().zip(self.blocks) {
            block.scale = block_scale(simd, values);
            // A block so small that its scale has no inverse is zero for every purpose.
            let inverse = match block.scale < f32::MIN_POSITIVE {
                true => 0.0,
                false => 1.0 / block.scale,
            };
            for half in 0..2 {
                let at = half * MOST_LANES;
                let sum = round_half(simd, &values[at..], inverse, &mut block.codes[at..]);
                block.half_sums[half] = block.scale * sum;
            }
            block.sum = block.half_sums[0] + block.half_sums[1];
        }
    }
}

/// The greatest magnitude of a block over 127.
#[inline(always)]
fn block_scale<S: Simd>(simd: S, values: &[f32; BLOCK]) -> f32 {
    let greatest = simd.fold(
        values,
        0.0,
        simd.zero(),
        #[inline(always)]
        |greatest, values| {
            let magnitude = simd.max(values, simd.sub(simd.zero(), values));
            simd.max(greatest, magnitude)
        },
    );
    simd.greatest(greatest) / 127.0
}

/// Rounds 16 values to codes and returns the sum of the codes.
#[inline(always)]
fn round_half<S: Simd>(simd: S, values: &[f32], inverse: f32, codes: &mut [i8]) -> f32 {
    let inverse = simd.splat(inverse);
    let mut sum = simd.zero();
    assert!(values.len() >= MOST_LANES && codes.len() >= MOST_LANES);
    for at in (0..MOST_LANES).step_by(S::LANES) {
        // SAFETY: `at + LANES <= MOST_LANES`, which both slices have.
        unsafe {
            let rounded = simd.round(simd.mul(simd.load(values.as_ptr().add(at)), inverse));
            simd.store_i8(codes.as_mut_ptr().add(at), rounded);
            sum = simd.add(sum, rounded);
        }
    }
    simd.sum(sum)
}
