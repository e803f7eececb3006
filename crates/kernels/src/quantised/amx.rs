//! Many rows of activations with AMX: one instruction multiplies 16 of them with the 16 rows of a
//! weight tile, over all columns that share a scale.
//!
//! ```text
//! A  16 rows of activations x the bytes of a group  a `RowTile`'s codes, signed
//! B  the group's steps x 64 bytes                   a `PanelBlock`'s codes as they lie
//! C  16 x 16 sums                                   stored, converted, scaled, added up in f32
//! ```
//!
//! The sums are whole numbers, so they are AVX-512's, and so are all bits of the result: what follows
//! is done in the same order.
//!
//! What limits it, in cycles a block of 16 rows x 16 rows x 32 columns of a layout with one group, by
//! the throughputs that Intel gives for Sapphire Rapids: multiplying takes at most 16. Scaling takes four
//! operations a vector of 16 sums: convert, multiply the scales, add sums, add minimums; 64 in all, which
//! two ports do in 32. Loads are 16 rows of A, 8 of B, 16 of C, and 32 scales and sums of activations, at
//! two or three a cycle 24 to 36. Stores are the 16 rows of C, 16. AVX-512 spends 64 on multiplying and
//! the same 32 on scaling, on the same two ports. So at best this is 96 / 36 times as fast, and what
//! remains is the scaling. Hence the totals of 16 rows stay in 16 vector registers, scales of activations
//! lie in the order of their use, and products run ahead of the scaling: they take some 120 cycles from
//! load to store, which is that of 3 blocks.
//!
//! Measured of this is the scaling alone, on a Zen 5 with a unit that multiplies nothing and stores zeros:
//! 15.5 ns a block where the AVX-512 product takes 28.5 (12.3 if nothing is stored), so 1.8 to 2.3 times
//! as fast is what it leaves room for.

use std::marker::PhantomData;
use std::ops::Range;

use crate::amx::{MOST_ROW_BYTES, TileConfig, TileUnit};
use crate::isa::Supported;
use crate::output::Output;
use crate::simd::{Kernel, Simd};

use super::layout::{BLOCK, Layout, STEP_BYTES, STEPS, TILE_ROWS};
use super::matrix::QuantisedMatrix;
use super::panel::PanelBlock;
use super::product::{PANELS, Product, start, store};
use super::row_tiles::{ROWS, RowTile};
use super::rows::QuantisedRows;
use super::tier::{Sums, Tier};

/// Blocks of a panel that all rows are multiplied with before the next: 24 KiB, half of the first
/// cache. Between them the totals wait in the output.
const PART: usize = 32;
/// Products that are stored and not scaled yet.
const AHEAD: usize = 3;
/// Where products are stored, one after another.
const SLOTS: usize = AHEAD + 1;

/// A product of 16 rows of activations with 16 of weights.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Whole([[i32; TILE_ROWS]; ROWS]);

/// Multiplies all rows of activations with some tiles. `tier` unpacks the weights and multiplies the
/// rows that no [`RowTile`] has, `cpu` is the tier that scales the sums; panics where
/// [`QuantisedMatrix::tile_product`] does.
///
/// # Safety
///
/// As [`QuantisedMatrix::tile_product`].
pub(super) unsafe fn product<L: Layout, T: Tier, U: TileUnit>(
    cpu: Supported,
    tier: T,
    unit: &mut U,
    matrix: &QuantisedMatrix,
    tiles: Range<usize>,
    inputs: &QuantisedRows,
    output: Output<'_>,
) {
    let mut slots = [Whole([[0; TILE_ROWS]; ROWS]); SLOTS];
    unit.configure(&config::<L>());
    PANELS.with_borrow_mut(|[panel, _]| {
        for tile in tiles {
            tier.unpack::<L>(matrix.tile::<L>(tile), panel.resize(matrix.columns()));
            let product = Product {
                panels: [panel.blocks()],
                starts: [start(&output, tile, matrix.rows())],
                first: tile,
                rows: matrix.rows(),
                inputs,
                output,
            };
            // SAFETY: passed on to the caller.
            unsafe {
                tiled_rows::<L, T, U>(cpu, unit, &mut slots, &product);
                other_rows::<L, T>(tier, &product);
            }
        }
    });
}

/// Registers 0 to 3 are C, 4 and 5 A, 6 and 7 B.
const fn config<L: Layout>() -> TileConfig {
    let (group, steps) = (BLOCK / L::GROUPS, STEPS / L::GROUPS);
    TileConfig::new()
        .with(0, ROWS, MOST_ROW_BYTES)
        .with(1, ROWS, MOST_ROW_BYTES)
        .with(2, ROWS, MOST_ROW_BYTES)
        .with(3, ROWS, MOST_ROW_BYTES)
        .with(4, ROWS, group)
        .with(5, ROWS, group)
        .with(6, steps, STEP_BYTES)
        .with(7, steps, STEP_BYTES)
}

/// The rows that are in tiles, with one part of the panel after another.
///
/// # Safety
///
/// As [`QuantisedMatrix::tile_product`].
unsafe fn tiled_rows<L: Layout, T: Tier, U: TileUnit>(
    cpu: Supported,
    unit: &mut U,
    slots: &mut [Whole; SLOTS],
    product: &Product<'_, 1>,
) {
    for (part, panel) in product.panels[0].chunks(PART).enumerate() {
        for (group, rows) in product.inputs.tiles().enumerate() {
            let tokens = group * ROWS..product.inputs.count().min((group + 1) * ROWS);
            let rows = &rows[part * PART..][..panel.len()];
            // SAFETY: passed on to the caller.
            let mut totals = unsafe { totals_before(product, part, tokens.clone()) };
            let (unit, slots, totals_after) = (&mut *unit, &mut *slots, &mut totals);
            match T::SIGNED_BYTES && L::BITS == 8 {
                true => cpu.run(Accumulate::<L, U, true>::new(
                    unit,
                    slots,
                    panel,
                    rows,
                    totals_after,
                )),
                false => cpu.run(Accumulate::<L, U, false>::new(
                    unit,
                    slots,
                    panel,
                    rows,
                    totals_after,
                )),
            }
            for (token, totals) in tokens.zip(&totals) {
                // SAFETY: passed on to the caller.
                unsafe { store(&product.output, token, product.first, product.rows, totals) };
            }
        }
    }
}

/// What the totals of some rows are before a part of the panel: what they start from, or the outputs
/// of the parts before. Those of rows that the matrix does not have mean nothing.
///
/// # Safety
///
/// As [`QuantisedMatrix::tile_product`].
unsafe fn totals_before(
    product: &Product<'_, 1>,
    part: usize,
    tokens: Range<usize>,
) -> [Sums; ROWS] {
    let mut totals = [product.starts[0]; ROWS];
    if part > 0 {
        let first = product.first * TILE_ROWS;
        let count = TILE_ROWS.min(product.rows - first);
        for (token, totals) in tokens.zip(&mut totals) {
            // SAFETY: passed on to the caller; the slice ends before the next is taken.
            totals[..count].copy_from_slice(unsafe { product.output.rows(token, first, count) });
        }
    }
    totals
}

/// The last rows, if they are too few for a tile.
///
/// # Safety
///
/// As [`QuantisedMatrix::tile_product`].
unsafe fn other_rows<L: Layout, T: Tier>(tier: T, product: &Product<'_, 1>) {
    let tiled = product.inputs.tiles().count() * ROWS;
    for token in (tiled..product.inputs.count()).step_by(T::TOKENS) {
        // SAFETY: passed on to the caller.
        unsafe { product.some_rows::<L, T>(tier, token) };
    }
}

/// Adds to the totals of 16 rows of activations their products with some blocks of a panel. Codes of
/// the panel are signed where `SIGNED` says so.
struct Accumulate<'part, L, U, const SIGNED: bool> {
    unit: &'part mut U,
    slots: &'part mut [Whole; SLOTS],
    panel: &'part [PanelBlock],
    rows: &'part [RowTile],
    totals: &'part mut [Sums; ROWS],
    layout: PhantomData<L>,
}

impl<'part, L: Layout, U: TileUnit, const SIGNED: bool> Accumulate<'part, L, U, SIGNED> {
    fn new(
        unit: &'part mut U,
        slots: &'part mut [Whole; SLOTS],
        panel: &'part [PanelBlock],
        rows: &'part [RowTile],
        totals: &'part mut [Sums; ROWS],
    ) -> Self {
        assert_eq!(panel.len(), rows.len());
        Self {
            unit,
            slots,
            panel,
            rows,
            totals,
            layout: PhantomData,
        }
    }

    /// Multiplies group number `index` of the blocks and stores the sums in the group's slot.
    #[inline(always)]
    fn multiply(&mut self, index: usize) {
        match index % SLOTS {
            0 => self.multiply_with::<0, 4, 6>(index),
            1 => self.multiply_with::<1, 5, 7>(index),
            2 => self.multiply_with::<2, 4, 6>(index),
            _ => self.multiply_with::<3, 5, 7>(index),
        }
    }

    /// The same with the registers C, A and B; neighbours have others, so that none waits for another.
    #[inline(always)]
    fn multiply_with<const C: usize, const A: usize, const B: usize>(&mut self, index: usize) {
        let (block, group) = (index / L::GROUPS, index % L::GROUPS);
        let activations = &self.rows[block].codes.as_flattened()[group * (BLOCK / L::GROUPS)..];
        let weights = &self.panel[block].codes[group * (STEPS / L::GROUPS)..];
        let sums = &mut self.slots[index % SLOTS];
        self.unit.zero::<C>();
        // SAFETY: A has 16 rows of a group's bytes, BLOCK apart; this is the group's part of the
        // first. B has a group's steps, of which this is the first.
        unsafe {
            self.unit.load::<A>(activations.as_ptr().cast(), BLOCK);
            self.unit.load::<B>(weights.as_ptr().cast(), STEP_BYTES);
        }
        match SIGNED {
            true => self.unit.multiply_signed::<C, A, B>(),
            false => self.unit.multiply_signed_unsigned::<C, A, B>(),
        }
        // SAFETY: C and a slot have 16 rows of 64 bytes.
        unsafe {
            self.unit
                .store::<C>(std::ptr::from_mut(sums).cast(), MOST_ROW_BYTES)
        };
    }

    /// Scales the sums of group number `index` and adds them, and the minimums, to the totals.
    #[inline(always)]
    fn scale<S: Simd, const V: usize>(
        &self,
        simd: S,
        index: usize,
        totals: &mut [[S::F32; V]; ROWS],
    ) {
        let (block, group) = (index / L::GROUPS, index % L::GROUPS);
        let (weights, activations) = (&self.panel[block], &self.rows[block]);
        let scales = vectors::<S, V>(simd, &weights.scales[group]);
        let minimums = vectors::<S, V>(simd, &weights.minimums[group]);
        let sums = activations.group_sums::<L>(group);
        let Whole(whole) = &self.slots[index % SLOTS];
        for row in 0..ROWS {
            let scale = simd.splat(activations.scales[row]);
            let sum = simd.splat(sums[row]);
            for v in 0..V {
                // SAFETY: V vectors are the 16 sums of a row.
                let whole = unsafe { simd.load_i32(whole[row].as_ptr().add(v * S::LANES)) };
                let total = simd.mul_add(whole, simd.mul(scales[v], scale), totals[row][v]);
                totals[row][v] = simd.mul_add(minimums[v], sum, total);
            }
        }
    }

    /// All groups; `V` vectors are 16 values.
    #[inline(always)]
    fn all<S: Simd, const V: usize>(mut self, simd: S) {
        let groups = self.panel.len() * L::GROUPS;
        let mut totals = [[simd.zero(); V]; ROWS];
        for (vectors_of_row, totals) in totals.iter_mut().zip(self.totals.iter()) {
            *vectors_of_row = vectors::<S, V>(simd, totals);
        }
        for index in 0..groups.min(AHEAD) {
            self.multiply(index);
        }
        for index in 0..groups {
            if index + AHEAD < groups {
                self.multiply(index + AHEAD);
            }
            self.scale::<S, V>(simd, index, &mut totals);
        }
        for (vectors_of_row, totals) in totals.iter().zip(self.totals.iter_mut()) {
            for (v, vector) in vectors_of_row.iter().enumerate() {
                // SAFETY: V vectors are 16 values.
                unsafe { simd.store(totals.as_mut_ptr().add(v * S::LANES), *vector) };
            }
        }
    }
}

impl<L: Layout, U: TileUnit, const SIGNED: bool> Kernel for Accumulate<'_, L, U, SIGNED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match S::LANES {
            TILE_ROWS => self.all::<S, 1>(simd),
            _ => self.all::<S, 2>(simd),
        }
    }
}

/// 16 values in `V` vectors.
#[inline(always)]
fn vectors<S: Simd, const V: usize>(simd: S, values: &Sums) -> [S::F32; V] {
    assert!(V * S::LANES <= TILE_ROWS);
    let mut vectors = [simd.zero(); V];
    for (v, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: the values have V vectors, as was just checked.
        *vector = unsafe { simd.load(values.as_ptr().add(v * S::LANES)) };
    }
    vectors
}
