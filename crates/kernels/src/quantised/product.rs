//! Products of quantised rows with some tiles of a matrix, in the tier that is in use.
//!
//! [`QuantisedMatrix::tile_product`] is one task of a region: all rows of activations against a range
//! of tiles. A few rows read the tiles as they lie; for more, each tile is unpacked once into a panel
//! of the thread's own. With AMX, many rows go through `amx` instead.

use std::cell::RefCell;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use crate::amx::with_tile_unit;
use crate::isa::Supported;
use crate::output::Output;
use crate::simd::ScalarLanes;

#[cfg(target_arch = "x86_64")]
use super::amx;
use super::layout::{Layout, TILE_ROWS};
use super::matrix::QuantisedMatrix;
use super::panel::{Panel, PanelBlock};
use super::rows::{QuantisedRows, RowBlock};
use super::tier::{MOST_IN_PLACE, MOST_PANELS, MOST_TOKENS, Sums, Tier};

impl QuantisedMatrix {
    /// Multiplies all rows of activations with some tiles; panics if the matrix has no such tiles,
    /// the rows have not as many columns as it, or the output or its bias ends before.
    ///
    /// # Safety
    ///
    /// While it runs, nobody else uses the outputs of these tiles.
    pub(crate) unsafe fn tile_product(
        &self,
        cpu: Supported,
        tiles: Range<usize>,
        inputs: &QuantisedRows,
        output: Output<'_>,
    ) {
        assert!(tiles.end <= self.tile_count() && inputs.columns() == self.columns());
        with_layout!(self.layout, L => {
            // SAFETY: passed on to the caller.
            unsafe {
                match cpu {
                    Supported::Scalar => run::<L, _>(ScalarLanes, self, tiles, inputs, output),
                    #[cfg(target_arch = "x86_64")]
                    Supported::Avx2(proof) => run::<L, _>(proof, self, tiles, inputs, output),
                    #[cfg(target_arch = "x86_64")]
                    Supported::Avx512(proof) => match proof.amx().filter(|_| inputs.has_tiles()) {
                        Some(amx) => with_tile_unit!(amx, unit => {
                            amx::product::<L, _, _>(cpu, proof, unit, self, tiles, inputs, output);
                        }),
                        None => run::<L, _>(proof, self, tiles, inputs, output),
                    },
                }
            }
        });
    }
}

/// The same, compiled for a layout and a tier.
///
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
    if inputs.count() <= T::FEW {
        for tile in tiles {
            let product = InPlace {
                matrix,
                tile,
                start: start(&output, tile, matrix.rows()),
                inputs,
                output,
            };
            for token in (0..inputs.count()).step_by(T::IN_PLACE) {
                // SAFETY: passed on to the caller.
                unsafe { product.some_rows::<L, T>(tier, token) };
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

/// A tile as it lies, and what is multiplied with it.
struct InPlace<'product> {
    matrix: &'product QuantisedMatrix,
    tile: usize,
    /// What the sums start from.
    start: Sums,
    inputs: &'product QuantisedRows,
    output: Output<'product>,
}

impl InPlace<'_> {
    /// As many rows from number `token` on as the tier takes together; fewer at the end, for each
    /// number of which the product is compiled.
    ///
    /// # Safety
    ///
    /// As [`QuantisedMatrix::tile_product`].
    unsafe fn some_rows<L: Layout, T: Tier>(&self, tier: T, token: usize) {
        const { assert!(T::IN_PLACE <= MOST_IN_PLACE) };
        macro_rules! product {
            ($($count:literal)*) => {
                match T::IN_PLACE.min(self.inputs.count() - token) {
                    // SAFETY: passed on to the caller.
                    $($count => unsafe { self.rows::<L, T, $count>(tier, token) },)*
                    _ => {}
                }
            };
        }
        product!(1 2 3 4 5 6 7 8);
    }

    /// `N` rows from number `token` on.
    ///
    /// # Safety
    ///
    /// As [`QuantisedMatrix::tile_product`].
    #[inline]
    unsafe fn rows<L: Layout, T: Tier, const N: usize>(&self, tier: T, token: usize) {
        let rows: [&[RowBlock]; N] = std::array::from_fn(|n| self.inputs.row(token + n));
        let tile = self.matrix.tile::<L>(self.tile);
        let sums = tier.in_place::<L, N>(tile, rows, &self.start);
        for (n, sums) in sums.iter().enumerate() {
            // SAFETY: passed on to the caller.
            unsafe { store(&self.output, token + n, self.tile, self.matrix.rows(), sums) };
        }
    }
}

thread_local! {
    /// The panels of the tiles that the thread is multiplying.
    pub(super) static PANELS: RefCell<[Panel; MOST_PANELS]> = const { RefCell::new([Panel::new(), Panel::new()]) };
}

/// All rows of activations with `P` neighbouring tiles.
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
    PANELS.with_borrow_mut(|scratch| {
        for (p, panel) in scratch[..P].iter_mut().enumerate() {
            tier.unpack::<L>(matrix.tile::<L>(first + p), panel.resize(matrix.columns()));
        }
        let panels: [&[PanelBlock]; P] = std::array::from_fn(|p| scratch[p].blocks());
        let product = Product {
            panels,
            starts: std::array::from_fn(|p| start(&output, first + p, matrix.rows())),
            first,
            rows: matrix.rows(),
            inputs,
            output,
        };
        for token in (0..inputs.count()).step_by(T::TOKENS) {
            // SAFETY: passed on to the caller.
            unsafe { product.some_rows::<L, T>(tier, token) };
        }
    });
}

/// What stays the same from some rows of activations to the next.
pub(super) struct Product<'product, const P: usize> {
    pub(super) panels: [&'product [PanelBlock]; P],
    /// What the sums with each panel start from.
    pub(super) starts: [Sums; P],
    /// The first of the neighbouring tiles.
    pub(super) first: usize,
    /// Rows of the matrix.
    pub(super) rows: usize,
    pub(super) inputs: &'product QuantisedRows,
    pub(super) output: Output<'product>,
}

impl<const P: usize> Product<'_, P> {
    /// As many rows from number `token` on as the tier takes together; fewer at the end, for each
    /// number of which the product is compiled.
    ///
    /// # Safety
    ///
    /// As [`QuantisedMatrix::tile_product`].
    pub(super) unsafe fn some_rows<L: Layout, T: Tier>(&self, tier: T, token: usize) {
        const { assert!(T::TOKENS <= MOST_TOKENS && T::PANELS <= MOST_PANELS) };
        macro_rules! product {
            ($($count:literal)*) => {
                match T::TOKENS.min(self.inputs.count() - token) {
                    // SAFETY: passed on to the caller.
                    $($count => unsafe { self.rows::<L, T, $count>(tier, token) },)*
                    _ => {}
                }
            };
        }
        product!(1 2 3 4 5 6);
    }

    /// `N` rows from number `token` on.
    ///
    /// # Safety
    ///
    /// As [`QuantisedMatrix::tile_product`].
    #[inline]
    unsafe fn rows<L: Layout, T: Tier, const N: usize>(&self, tier: T, token: usize) {
        let rows: [&[RowBlock]; N] = std::array::from_fn(|n| self.inputs.row(token + n));
        let sums = tier.panels::<L, P, N>(self.panels, rows, &self.starts);
        for (n, sums) in sums.iter().enumerate() {
            for (p, sums) in sums.iter().enumerate() {
                // SAFETY: passed on to the caller.
                unsafe { store(&self.output, token + n, self.first + p, self.rows, sums) };
            }
        }
    }
}

/// What the sums of a tile start from: the bias of its rows, or zero.
pub(super) fn start(output: &Output<'_>, tile: usize, rows: usize) -> Sums {
    let first = tile * TILE_ROWS;
    let mut start = [0.0; TILE_ROWS];
    if let Some(bias) = output.bias(first, TILE_ROWS.min(rows - first)) {
        start[..bias.len()].copy_from_slice(bias);
    }
    start
}

/// Stores those sums of a tile that are of real rows.
///
/// # Safety
///
/// Nobody else uses these outputs at the same time.
pub(super) unsafe fn store(
    output: &Output<'_>,
    token: usize,
    tile: usize,
    rows: usize,
    sums: &Sums,
) {
    let first = tile * TILE_ROWS;
    let count = TILE_ROWS.min(rows - first);
    // SAFETY: passed on to the caller.
    let stored = unsafe { output.rows(token, first, count) };
    match stored.first_chunk_mut() {
        // A copy of a length that the compiler knows is one store.
        Some(whole) => *whole = *sums,
        None => stored.copy_from_slice(&sums[..count]),
    }
}
