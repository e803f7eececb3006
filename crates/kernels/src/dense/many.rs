//! Many tokens: a panel of weights in the nearest caches is multiplied with block after block of
//! them.
//!
//! A panel is two vectors of outputs by some columns. Against 12 tokens at a time (6 where there are
//! 16 registers) its sums fill the registers, so that each load serves several products. Between
//! the panels of one matrix's columns the sums wait in the output: storing and loading an f32 does
//! not change it, so blocks change no result.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::element::{BrainElement, Element, HalfElement, SingleElement, accumulate};
use super::product::Task;
use super::{DenseFormat, DenseInputs, TILE};
use crate::simd::Simd;

/// Columns of a widened panel. Two tiles of them are 64 KiB in f32; that the second cache supplies
/// part of them costs less than storing and loading the sums more often would.
const BLOCK: usize = 512;

/// Tokens that panel after panel is multiplied with: a block of their columns is 256 KiB, which the
/// second cache of most processors holds.
const CHUNK: usize = 128;

/// Memory for a panel of widened weights; left as it is found, because filling it would take a good
/// part of the time of a product with a dozen tokens.
#[repr(C, align(64))]
pub(super) struct Scratch([MaybeUninit<u32>; 2 * TILE * BLOCK]);

/// How a panel is multiplied: by widening it to f32, or by an instruction of its own.
pub(super) trait Panel<S: Simd>: Copy {
    /// What a panel is made of, and the inputs that it is multiplied with.
    type Weight;
    type Input;
    /// Columns of a panel: even, so that no pair of them is parted.
    const COLUMNS: usize;

    /// Where the panel's `V` vectors of outputs begin, that of columns from `columns.start` on in
    /// the tiles from `tile` on.
    fn weights<const V: usize>(
        self,
        simd: S,
        task: &Task<'_>,
        tile: usize,
        columns: Range<usize>,
        scratch: &mut Scratch,
    ) -> [*const Self::Weight; V];

    /// A token's inputs from a column on, which is a multiple of [`Panel::COLUMNS`].
    fn inputs(self, inputs: &DenseInputs<'_>, token: usize, column: usize) -> *const Self::Input;

    /// Adds to `sums` the products of the panel's columns.
    ///
    /// # Safety
    ///
    /// `weights` come from [`Panel::weights`], `inputs` from [`Panel::inputs`], for the same columns
    /// and an unchanged scratch.
    unsafe fn accumulate<const V: usize, const T: usize>(
        self,
        simd: S,
        weights: [*const Self::Weight; V],
        inputs: [*const Self::Input; T],
        columns: usize,
        sums: [[S::F32; V]; T],
    ) -> [[S::F32; V]; T];
}

/// Panels of any format, widened to f32.
#[derive(Clone, Copy)]
pub(super) struct Widened;

/// Multiplies any number of tokens: a chunk of them by a block of columns at a time, so that these
/// inputs are in the second cache when panel after panel is multiplied with them. A matrix without
/// columns has one empty block, which stores what the sums start from.
#[inline(always)]
pub(super) fn product<S: Simd, P: Panel<S>>(simd: S, panel: P, task: Task<'_>) {
    let mut scratch = Scratch([MaybeUninit::uninit(); 2 * TILE * BLOCK]);
    let (all_tokens, all_columns) = (task.inputs.tokens(), task.matrix.columns());
    for token in (0..all_tokens).step_by(CHUNK) {
        let tokens = token..all_tokens.min(token + CHUNK);
        for column in (0..all_columns.max(1)).step_by(P::COLUMNS) {
            let part = Part {
                tokens: tokens.clone(),
                columns: column..all_columns.min(column + P::COLUMNS),
            };
            panels(simd, panel, &task, &part, &mut scratch);
        }
    }
}

/// Some tokens and some of their columns.
struct Part {
    tokens: Range<usize>,
    columns: Range<usize>,
}

/// The panels of all tiles, for some columns.
#[inline(always)]
fn panels<S: Simd, P: Panel<S>>(
    simd: S,
    panel: P,
    task: &Task<'_>,
    part: &Part,
    scratch: &mut Scratch,
) {
    let at_once = 2 * S::LANES / TILE;
    let mut tiles = task.tiles.clone();
    while tiles.len() >= at_once {
        let weights = panel.weights::<2>(simd, task, tiles.start, part.columns.clone(), scratch);
        // SAFETY: the weights are those of the panel, and the scratch is left alone meanwhile.
        unsafe { tokens::<S, P, 2>(simd, panel, task, tiles.start, weights, part) };
        tiles.start += at_once;
    }
    // Two vectors are two tiles or one; only in the first case is one left over.
    for tile in tiles {
        let weights = panel.weights::<1>(simd, task, tile, part.columns.clone(), scratch);
        // SAFETY: as above.
        unsafe { tokens::<S, P, 1>(simd, panel, task, tile, weights, part) };
    }
}

/// A panel against some tokens, in blocks of nearly equal size: a small last block would have too
/// few sums to keep the processor busy.
///
/// # Safety
///
/// `weights` are those of the panel.
#[inline(always)]
unsafe fn tokens<S: Simd, P: Panel<S>, const V: usize>(
    simd: S,
    panel: P,
    task: &Task<'_>,
    tile: usize,
    weights: [*const P::Weight; V],
    part: &Part,
) {
    let most = if S::REGISTERS >= 32 { 12 } else { 6 };
    let mut first = part.tokens.start;
    while first < part.tokens.end {
        let left = part.tokens.end - first;
        let count = left.div_ceil(left.div_ceil(most));
        macro_rules! block {
            ($tokens:literal) => {{
                let columns = part.columns.clone();
                // SAFETY: as the caller promises.
                unsafe {
                    block::<S, P, V, $tokens>(simd, panel, task, tile, weights, columns, first);
                }
                $tokens
            }};
        }
        first += match count {
            12.. if most == 12 => block!(12),
            11 if most == 12 => block!(11),
            10 if most == 12 => block!(10),
            9 if most == 12 => block!(9),
            8 if most == 12 => block!(8),
            7 if most == 12 => block!(7),
            6.. => block!(6),
            5 => block!(5),
            4 => block!(4),
            3 => block!(3),
            2 => block!(2),
            _ => block!(1),
        };
    }
}

/// A panel against `T` tokens.
///
/// # Safety
///
/// `weights` are those of the panel, and there are `T` tokens from `first` on.
#[inline(always)]
unsafe fn block<S: Simd, P: Panel<S>, const V: usize, const T: usize>(
    simd: S,
    panel: P,
    task: &Task<'_>,
    tile: usize,
    weights: [*const P::Weight; V],
    columns: Range<usize>,
    first: usize,
) {
    let mut inputs = [std::ptr::null(); T];
    let mut sums = [[simd.zero(); V]; T];
    for t in 0..T {
        inputs[t] = panel.inputs(task.inputs, first + t, columns.start);
        sums[t] = task.start(simd, first + t, tile, columns.start);
    }
    // SAFETY: the caller promises the weights; the inputs begin at the same column.
    let sums = unsafe { panel.accumulate(simd, weights, inputs, columns.len(), sums) };
    for (t, sums) in sums.into_iter().enumerate() {
        task.store(simd, first + t, tile, sums);
    }
}

impl<S: Simd> Panel<S> for Widened {
    type Weight = u32;
    type Input = f32;
    const COLUMNS: usize = BLOCK;

    #[inline(always)]
    fn weights<const V: usize>(
        self,
        simd: S,
        task: &Task<'_>,
        tile: usize,
        columns: Range<usize>,
        scratch: &mut Scratch,
    ) -> [*const u32; V] {
        match task.matrix.format() {
            DenseFormat::F32 => widen::<S, SingleElement, V>(simd, task, tile, columns, scratch),
            DenseFormat::F16 => widen::<S, HalfElement, V>(simd, task, tile, columns, scratch),
            DenseFormat::Bf16 => widen::<S, BrainElement, V>(simd, task, tile, columns, scratch),
        }
    }

    #[inline(always)]
    fn inputs(self, inputs: &DenseInputs<'_>, token: usize, column: usize) -> *const f32 {
        inputs.token(token)[column..].as_ptr()
    }

    #[inline(always)]
    unsafe fn accumulate<const V: usize, const T: usize>(
        self,
        simd: S,
        weights: [*const u32; V],
        inputs: [*const f32; T],
        columns: usize,
        sums: [[S::F32; V]; T],
    ) -> [[S::F32; V]; T] {
        // SAFETY: the panel is f32 by columns, whether in the matrix or in the scratch, and the
        // inputs have its columns.
        unsafe { accumulate::<S, SingleElement, V, T>(simd, weights, inputs, columns, sums) }
    }
}

/// The panel in f32, in the scratch unless it is f32 where it lies.
#[inline(always)]
fn widen<S: Simd, E: Element, const V: usize>(
    simd: S,
    task: &Task<'_>,
    tile: usize,
    columns: Range<usize>,
    scratch: &mut Scratch,
) -> [*const u32; V] {
    let packed = task.weights::<S, E, V>(tile);
    let skipped = columns.start * TILE;
    let room = scratch.0.as_mut_ptr().cast::<u32>();
    let mut weights = [std::ptr::null(); V];
    for v in 0..V {
        let output = v * S::LANES;
        let at = output / TILE * (TILE * BLOCK) + output % TILE;
        // SAFETY: the tile has the columns, of which `columns.start`, a multiple of BLOCK and so
        // even, are left out. `V` vectors are at most two tiles, and the scratch has room for BLOCK
        // columns of both, this vector's beginning at `at`.
        weights[v] = unsafe { E::widen(simd, packed[v].add(skipped), columns.len(), room.add(at)) };
    }
    weights
}
