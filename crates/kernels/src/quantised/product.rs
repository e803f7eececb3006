//! Products of quantised rows with some tiles of a matrix, in the tier that is in use.

use std::cell::RefCell;
use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::isa::Supported;
use crate::simd::ScalarLanes;

use super::layout::{BLOCK, Layout, TILE_ROWS, with_layout};
use super::matrix::QuantisedMatrix;
use super::panel::{PANEL_BLOCKS, Panel};
use super::rows::{QuantisedRows, Row};
use super::tier::{MOST_PANELS, MOST_TOKENS, Sums, Tier};

/// Up to so many rows of activations the tiles are read as they lie; more are worth unpacking for.
const FEW_ROWS: usize = 2;

/// Where the outputs of a matrix go: row `t` of the activations and row `r` of the matrix meet at
/// `t * stride + offset + r`.
#[derive(Clone, Copy)]
pub(crate) struct Output<'out> {
    pub(crate) values: Disjoint<'out, f32>,
    pub(crate) stride: usize,
    pub(crate) offset: usize,
}

impl Output<'_> {
    /// Stores the sums of a tile that are of real rows.
    ///
    /// # Safety
    ///
    /// Nobody else writes these outputs at the same time.
    unsafe fn store(&self, token: usize, tile: usize, rows: usize, sums: &Sums) {
        let first = tile * TILE_ROWS;
        let count = TILE_ROWS.min(rows - first);
        // SAFETY: passed on to the caller.
        let part = unsafe {
            self.values
                .part(token * self.stride + self.offset + first, count)
        };
        part.copy_from_slice(&sums[..count]);
    }
}

impl QuantisedMatrix {
    /// Multiplies all rows of activations with some tiles.
    ///
    /// # Safety
    ///
    /// Nobody else writes the outputs of these tiles at the same time.
    pub(crate) unsafe fn tile_product(
        &self,
        cpu: Supported,
        tiles: Range<usize>,
        inputs: &QuantisedRows,
        output: Output<'_>,
    ) {
        with_layout!(self.layout, L => {
            // SAFETY: passed on to the caller.
            unsafe {
                match cpu {
                    Supported::Scalar => run::<L, _>(ScalarLanes, self, tiles, inputs, output),
                    #[cfg(target_arch = "x86_64")]
                    Supported::Avx2(proof) => run::<L, _>(proof, self, tiles, inputs, output),
                    #[cfg(target_arch = "x86_64")]
                    Supported::Avx512(proof) => run::<L, _>(proof, self, tiles, inputs, output),
                }
            }
        });
    }
}

/// # Safety
///
/// As [`QuantisedMatrix::tile_product`].
unsafe fn run<L: Layout, T: Tier>(
    tier: T,
    matrix: &QuantisedMatrix,
    tiles: Range<usize>,
    inputs: &QuantisedRows,
    output: Output<'_>,
) {
    if inputs.count() <= FEW_ROWS {
        for tile in tiles {
            for token in 0..inputs.count() {
                let sums = tier.vector::<L>(matrix.tile::<L>(tile), inputs.row(token, L::GROUPS));
                // SAFETY: passed on to the caller.
                unsafe { output.store(token, tile, matrix.rows(), &sums) };
            }
        }
        return;
    }
    let mut first = tiles.start;
    while first < tiles.end {
        let count = T::PANELS.min(tiles.end - first);
        // SAFETY: passed on to the caller.
        unsafe {
            match count {
                2 => some_tiles::<L, T, 2>(tier, matrix, first, inputs, output),
                _ => some_tiles::<L, T, 1>(tier, matrix, first, inputs, output),
            }
        }
        first += count;
    }
}

thread_local! {
    static PANELS: RefCell<[Panel; MOST_PANELS]> = RefCell::new([Panel::new(), Panel::new()]);
}

/// All rows of activations with `P` neighbouring tiles: some columns after another, so that the
/// unpacked codes stay in the nearest cache.
///
/// # Safety
///
/// As [`QuantisedMatrix::tile_product`].
unsafe fn some_tiles<L: Layout, T: Tier, const P: usize>(
    tier: T,
    matrix: &QuantisedMatrix,
    first: usize,
    inputs: &QuantisedRows,
    output: Output<'_>,
) {
    let blocks = matrix.columns() / BLOCK;
    PANELS.with_borrow_mut(|scratch| {
        let mut totals = vec![[[0.0; TILE_ROWS]; P]; inputs.count()];
        for start in (0..blocks).step_by(PANEL_BLOCKS) {
            let part = start..(start + PANEL_BLOCKS).min(blocks);
            for (p, panel) in scratch[..P].iter_mut().enumerate() {
                let tile = matrix.tile::<L>(first + p).blocks::<L>(part.clone());
                tier.unpack::<L>(tile, panel);
            }
            let panels: [&Panel; P] = std::array::from_fn(|p| &scratch[p]);
            for (group, totals) in totals.chunks_mut(T::TOKENS).enumerate() {
                let row = |t| {
                    inputs
                        .row(group * T::TOKENS + t, L::GROUPS)
                        .blocks::<L>(part.clone())
                };
                some_rows::<L, T, P>(tier, panels, row, totals);
            }
        }
        for (token, totals) in totals.iter().enumerate() {
            for (p, sums) in totals.iter().enumerate() {
                // SAFETY: passed on to the caller.
                unsafe { output.store(token, first + p, matrix.rows(), sums) };
            }
        }
    });
}

/// Compiles the product for each number of rows that may be left at the end.
fn some_rows<'rows, L: Layout, T: Tier, const P: usize>(
    tier: T,
    panels: [&Panel; P],
    row: impl Fn(usize) -> Row<'rows>,
    totals: &mut [[Sums; P]],
) {
    const { assert!(T::TOKENS <= MOST_TOKENS && T::PANELS <= MOST_PANELS) };
    macro_rules! product {
        ($($count:literal)*) => {
            match totals.len() {
                $($count => {
                    if let Some(totals) = totals.first_chunk_mut::<$count>() {
                        let rows: [Row<'_>; $count] = std::array::from_fn(&row);
                        tier.panels::<L, P, $count>(panels, rows, totals);
                    }
                })*
                _ => {}
            }
        };
    }
    product!(1 2 3 4 5 6);
}
