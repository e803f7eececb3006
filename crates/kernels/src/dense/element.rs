//! The elements of each format as vectors of f32.
//!
//! One inner loop serves all formats and tiers: [`accumulate`], which multiplies `V` vectors of
//! outputs with `T` tokens. Every sum stays in its register for all columns, and every vector of
//! weights is used `T` times, every broadcast input `V` times; how large `V` and `T` may be is what
//! the number of registers says.

use super::TILE;
use crate::aligned::Number;
use crate::simd::Simd;

/// An element of a packed matrix.
pub(super) trait Element {
    type Bits: Number;
    /// Columns that lie side by side in a tile: 1 or 2.
    const COLUMNS: usize;

    /// `LANES` outputs of each of the columns that lie side by side; where that is one, the second
    /// vector means nothing.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of `LANES * COLUMNS` elements.
    unsafe fn load<S: Simd>(simd: S, from: *const Self::Bits) -> [S::F32; 2];

    /// The first columns of `LANES` outputs as f32, from one column to the next [`TILE`] values
    /// further: in `scratch`, unless they are f32 where they lie.
    ///
    /// # Safety
    ///
    /// `from` points to the outputs in the first of at least `columns` columns of a tile, and
    /// `scratch` to the same outputs in room for as many, a last pair's second counted.
    #[inline(always)]
    unsafe fn widen<S: Simd>(
        simd: S,
        from: *const Self::Bits,
        columns: usize,
        scratch: *mut u32,
    ) -> *const u32 {
        for step in 0..columns.div_ceil(Self::COLUMNS) {
            // SAFETY: the tile has the step's columns and the scratch has room for them, as the
            // caller promises.
            unsafe {
                let loaded = Self::load(simd, from.add(step * (TILE * Self::COLUMNS)));
                for (which, values) in loaded.into_iter().enumerate().take(Self::COLUMNS) {
                    let column = step * Self::COLUMNS + which;
                    simd.store(scratch.add(column * TILE).cast(), values);
                }
            }
        }
        scratch
    }
}

/// IEEE single precision, stored as its bits.
pub(super) struct SingleElement;

/// IEEE half precision.
pub(super) struct HalfElement;

/// Pairs of bfloat16.
pub(super) struct BrainElement;

impl Element for SingleElement {
    type Bits = u32;
    const COLUMNS: usize = 1;

    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const u32) -> [S::F32; 2] {
        // SAFETY: the caller promises LANES elements, and an f32 is as large as its bits.
        [unsafe { simd.load(from.cast()) }, simd.zero()]
    }

    #[inline(always)]
    unsafe fn widen<S: Simd>(_: S, from: *const u32, _: usize, _: *mut u32) -> *const u32 {
        from
    }
}

impl Element for HalfElement {
    type Bits = u16;
    const COLUMNS: usize = 1;

    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const u16) -> [S::F32; 2] {
        // SAFETY: the caller promises LANES elements.
        [unsafe { simd.load_f16(from) }, simd.zero()]
    }
}

impl Element for BrainElement {
    type Bits = u16;
    const COLUMNS: usize = 2;

    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const u16) -> [S::F32; 2] {
        // SAFETY: the caller promises LANES pairs.
        unsafe { simd.load_bf16_pairs(from) }
    }
}

/// Adds to `sums[t][v]` the products of vector `v` of outputs with token `t`, over all columns in
/// their order.
///
/// # Safety
///
/// Each of `inputs` is valid for reads of `columns` f32. Each of `weights` points to a vector of
/// outputs in the first column of a tile that has at least `columns` columns, or one more if they
/// lie in pairs and the number is odd.
#[inline(always)]
pub(super) unsafe fn accumulate<S: Simd, E: Element, const V: usize, const T: usize>(
    simd: S,
    weights: [*const E::Bits; V],
    inputs: [*const f32; T],
    columns: usize,
    mut sums: [[S::F32; V]; T],
) -> [[S::F32; V]; T] {
    let steps = columns / E::COLUMNS;
    for step in 0..steps {
        // SAFETY: the step's columns are among the caller's.
        unsafe {
            let loaded = load_step::<S, E, V>(simd, weights, step);
            for which in 0..E::COLUMNS {
                let column = step * E::COLUMNS + which;
                sums = add_column(simd, &loaded, which, inputs, column, sums);
            }
        }
    }
    if !columns.is_multiple_of(E::COLUMNS) {
        // SAFETY: the last column is the first of a pair, which the tile has in full; of the inputs
        // only the one that there is is read.
        unsafe {
            let loaded = load_step::<S, E, V>(simd, weights, steps);
            sums = add_column(simd, &loaded, 0, inputs, columns - 1, sums);
        }
    }
    sums
}

/// The columns that lie side by side at `step`.
///
/// # Safety
///
/// As [`accumulate`], for those columns.
#[inline(always)]
unsafe fn load_step<S: Simd, E: Element, const V: usize>(
    simd: S,
    weights: [*const E::Bits; V],
    step: usize,
) -> [[S::F32; 2]; V] {
    let mut loaded = [[simd.zero(); 2]; V];
    for v in 0..V {
        // SAFETY: each step of a tile has TILE outputs of COLUMNS elements, and the caller promises
        // that the tile has the step.
        loaded[v] = unsafe { E::load(simd, weights[v].add(step * (TILE * E::COLUMNS))) };
    }
    loaded
}

/// One column's products with all tokens.
///
/// # Safety
///
/// Each of `inputs` is valid for a read at `column`.
#[inline(always)]
unsafe fn add_column<S: Simd, const V: usize, const T: usize>(
    simd: S,
    loaded: &[[S::F32; 2]; V],
    which: usize,
    inputs: [*const f32; T],
    column: usize,
    mut sums: [[S::F32; V]; T],
) -> [[S::F32; V]; T] {
    for t in 0..T {
        // SAFETY: the caller promises the value.
        let input = simd.splat(unsafe { *inputs[t].add(column) });
        for v in 0..V {
            sums[t][v] = simd.mul_add(loaded[v][which], input, sums[t][v]);
        }
    }
    sums
}
