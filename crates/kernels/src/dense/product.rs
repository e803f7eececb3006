//! A product of a matrix with some tokens, as tasks over ranges of tiles.
//!
//! [`DenseMatrix::tile_product`] is one task: all tokens against a range of tiles, so that threads
//! share out the weights and each weight is read by one of them. It decides which of the four ways
//! to multiply is taken; [`Task`] is what they have in common.

use std::ops::Range;

use super::element::{BrainElement, Element, HalfElement, SingleElement};
use super::few::{self, FEW};
use super::many::{self, Widened};
use super::{DenseFormat, DenseInputs, DenseMatrix, TILE};
#[cfg(target_arch = "x86_64")]
use super::{amx, dot};
use crate::Result;
#[cfg(target_arch = "x86_64")]
use crate::amx::with_tile_unit;
use crate::disjoint::Disjoint;
use crate::isa::Supported;
use crate::output::Output;
use crate::shape::{require_length, require_rows};
use crate::simd::{Kernel, Simd};
use crate::team::Team;

/// Tiles of a task with few tokens: as many as go side by side.
const FEW_TASK_TILES: usize = 4;

/// The most tiles of a task with many tokens: enough to use inputs that have come into the cache
/// again and again.
const MANY_TASK_TILES: usize = 16;

/// Tasks for each thread, so that one that is interrupted does not delay the others for long.
const TASKS_PER_THREAD: usize = 4;

/// Multiplies the matrix with each token: `out[token * rows + row]` is the inner product of the row
/// with the token's inputs, which follow each other in `inputs`.
///
/// The sums are f32. Where the processor has bfloat16 instructions, a product of a bfloat16 matrix
/// rounds the inputs to bfloat16 and takes denormal numbers for zero.
///
/// # Errors
///
/// [`PartialVector`](crate::Error::PartialVector) if `inputs` (or, for a matrix without columns,
/// `out`) does not end at the end of a token, [`Length`](crate::Error::Length) if `out` has not a
/// value for each token and row; `out` is then as it was.
pub fn dense_product(
    team: &Team,
    matrix: &DenseMatrix,
    inputs: &[f32],
    out: &mut [f32],
) -> Result<()> {
    product_on(Supported::active(), team, matrix, inputs, out)
}

pub(super) fn product_on(
    cpu: Supported,
    team: &Team,
    matrix: &DenseMatrix,
    inputs: &[f32],
    out: &mut [f32],
) -> Result<()> {
    let (rows, columns) = (matrix.rows(), matrix.columns());
    let tokens = match columns {
        0 => require_rows("out", rows, out.len())?,
        _ => require_rows("inputs", columns, inputs.len())?,
    };
    require_length("out", tokens.saturating_mul(rows), out.len())?;
    let inputs = DenseInputs::new(team, cpu, &[matrix.format()], inputs, tokens, columns)?;
    let output = Output {
        values: Disjoint::new(out),
        stride: rows,
        offset: 0,
        bias: None,
    };
    let task_tiles = task_tiles(team, matrix.tiles(), tokens);
    team.run(matrix.tiles().div_ceil(task_tiles), |task| {
        let first = task * task_tiles;
        let tiles = first..matrix.tiles().min(first + task_tiles);
        // SAFETY: each tile's rows are written by one task.
        unsafe { matrix.tile_product(cpu, tiles, &inputs, output) };
    });
    Ok(())
}

/// Tiles of a task: with many tokens an even number, because two make a panel.
fn task_tiles(team: &Team, tiles: usize, tokens: usize) -> usize {
    if tokens <= FEW {
        return FEW_TASK_TILES;
    }
    let share = tiles / (team.threads() * TASKS_PER_THREAD);
    share.next_multiple_of(2).clamp(2, MANY_TASK_TILES)
}

/// Some tiles of a matrix against all tokens.
pub(super) struct Task<'task> {
    pub(super) matrix: &'task DenseMatrix,
    pub(super) tiles: Range<usize>,
    pub(super) inputs: &'task DenseInputs<'task>,
    output: Output<'task>,
}

impl DenseMatrix {
    /// Writes the products of some tiles with every token, for those rows of the tiles that the
    /// matrix has. Meant for the tasks of a region; panics if the matrix has no such tiles, the
    /// inputs have not as many columns as it, or the output or its bias ends before.
    ///
    /// # Safety
    ///
    /// While it runs, nobody else uses the outputs of these rows.
    pub(crate) unsafe fn tile_product(
        &self,
        cpu: Supported,
        tiles: Range<usize>,
        inputs: &DenseInputs<'_>,
        output: Output<'_>,
    ) {
        assert!(tiles.end <= self.tiles() && inputs.columns() == self.columns());
        let task = Task {
            matrix: self,
            tiles,
            inputs,
            output,
        };
        #[cfg(target_arch = "x86_64")]
        if let Supported::Avx512(proof) = cpu
            && let Some(bf16) = proof.bf16()
            && self.format() == DenseFormat::Bf16
            && inputs.are_rounded()
        {
            return match proof.amx() {
                Some(tiles) => with_tile_unit!(tiles, unit => amx::product(cpu, unit, task)),
                None => dot::product(proof, bf16, task),
            };
        }
        cpu.run(task);
    }
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match (self.matrix.format(), self.inputs.tokens() <= FEW) {
            (DenseFormat::F32, true) => few::product::<S, SingleElement>(simd, self),
            (DenseFormat::F16, true) => few::product::<S, HalfElement>(simd, self),
            (DenseFormat::Bf16, true) => few::product::<S, BrainElement>(simd, self),
            (_, false) => many::product(simd, Widened, self),
        }
    }
}

impl<'task> Task<'task> {
    /// Products whose outputs are `output`'s, of which nobody else uses those of these tiles.
    #[cfg(test)]
    pub(super) fn new(
        matrix: &'task DenseMatrix,
        inputs: &'task DenseInputs<'task>,
        output: Output<'task>,
    ) -> Self {
        Self {
            matrix,
            tiles: 0..matrix.tiles(),
            inputs,
            output,
        }
    }

    /// Whether all sums start from zero before `column`.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // AMX asks, elsewhere in tests only.
    pub(super) fn starts_from_zero(&self, column: usize) -> bool {
        column == 0 && self.output.bias.is_none()
    }

    /// Where the `V` vectors of outputs begin that start with those of `tile`.
    #[inline(always)]
    pub(super) fn weights<S: Simd, E: Element, const V: usize>(
        &self,
        tile: usize,
    ) -> [*const E::Bits; V] {
        let mut weights = [std::ptr::null(); V];
        for (v, weights) in weights.iter_mut().enumerate() {
            let output = v * S::LANES;
            let elements = self.matrix.tile::<E::Bits>(tile + output / TILE);
            // Without columns there are no elements; nobody then reads through the pointer.
            *weights = elements.as_ptr().wrapping_add(output % TILE * E::COLUMNS);
        }
        weights
    }

    /// The outputs of a token that `vectors` vectors from `tile` on have, padding left out.
    ///
    /// # Safety
    ///
    /// The tiles are the task's, and no other slice of their outputs is in use.
    #[inline(always)]
    unsafe fn outputs<S: Simd>(
        &self,
        token: usize,
        tile: usize,
        vectors: usize,
    ) -> &'task mut [f32] {
        let (first, count) = self.rows::<S>(tile, vectors);
        // SAFETY: whoever called `tile_product` promised that nobody else uses the outputs of the
        // task's tiles, and the caller that this task does not either.
        unsafe { self.output.rows(token, first, count) }
    }

    /// The first and the number of the rows that `vectors` vectors from `tile` on have, padding left
    /// out.
    #[inline(always)]
    fn rows<S: Simd>(&self, tile: usize, vectors: usize) -> (usize, usize) {
        let first = tile * TILE;
        (first, (self.matrix.rows() - first).min(vectors * S::LANES))
    }

    /// Stores the outputs of a token.
    #[inline(always)]
    pub(super) fn store<S: Simd, const V: usize>(
        &self,
        simd: S,
        token: usize,
        tile: usize,
        sums: [S::F32; V],
    ) {
        // SAFETY: the walks over tiles stay in the task's, and this slice ends with the function.
        let outputs = unsafe { self.outputs::<S>(token, tile, V) };
        for (v, sum) in sums.into_iter().enumerate() {
            match outputs.get_mut(v * S::LANES..) {
                // SAFETY: there is room for LANES values.
                Some(room) if room.len() >= S::LANES => unsafe {
                    simd.store(room.as_mut_ptr(), sum);
                },
                Some(room) => simd.store_first(room, sum),
                None => {}
            }
        }
    }

    /// What a token's sums in `V` vectors of outputs from `tile` on start from before `column`: the
    /// outputs as stored so far, at first the bias, zero if there is none and where there is padding.
    #[inline(always)]
    pub(super) fn start<S: Simd, const V: usize>(
        &self,
        simd: S,
        token: usize,
        tile: usize,
        column: usize,
    ) -> [S::F32; V] {
        let (first, count) = self.rows::<S>(tile, V);
        let start = match column {
            0 => self.output.bias(first, count),
            // SAFETY: the walks over tiles stay in the task's, and this slice ends with the function.
            _ => Some(&*unsafe { self.outputs::<S>(token, tile, V) }),
        };
        match start {
            Some(start) => vectors(simd, start),
            None => [simd.zero(); V],
        }
    }
}

/// At most `V` vectors of values, filled up with zeros.
#[inline(always)]
fn vectors<S: Simd, const V: usize>(simd: S, values: &[f32]) -> [S::F32; V] {
    let mut vectors = [simd.zero(); V];
    for (v, vector) in vectors.iter_mut().enumerate() {
        *vector = match values.get(v * S::LANES..) {
            // SAFETY: there are LANES values.
            Some(values) if values.len() >= S::LANES => unsafe { simd.load(values.as_ptr()) },
            Some(values) => simd.load_first(values),
            None => simd.zero(),
        };
    }
    vectors
}
