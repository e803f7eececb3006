//! A few tokens: the weights are read once and widened in registers.
//!
//! Such a product is as fast as the weights arrive. Four vectors of outputs go side by side, because
//! a sum must wait for its previous step and a single one would be slower than the memory.

use super::TILE;
use super::element::{Element, accumulate};
use super::product::Task;
use crate::simd::Simd;

/// The most tokens that are few: up to so many, a product waits for its weights.
pub(crate) const FEW: usize = 4;

/// Multiplies at most [`FEW`] tokens.
#[inline(always)]
pub(super) fn product<S: Simd, E: Element>(simd: S, task: Task<'_>) {
    let many_registers = S::REGISTERS >= 32;
    match (task.inputs.tokens(), many_registers) {
        (0, _) => {}
        (1, _) => walk::<S, E, 4, 1>(simd, task),
        (2, _) => walk::<S, E, 4, 2>(simd, task),
        (3, true) => walk::<S, E, 4, 3>(simd, task),
        (3, false) => walk::<S, E, 2, 3>(simd, task),
        (_, true) => walk::<S, E, 4, 4>(simd, task),
        (_, false) => walk::<S, E, 2, 4>(simd, task),
    }
}

/// Walks over the tiles, as many at a time as `V` vectors have; the last few one by one.
#[inline(always)]
fn walk<S: Simd, E: Element, const V: usize, const T: usize>(simd: S, task: Task<'_>) {
    let at_once = V * S::LANES / TILE;
    let mut tiles = task.tiles.clone();
    while tiles.len() >= at_once {
        group::<S, E, V, T>(simd, &task, tiles.start);
        tiles.start += at_once;
    }
    for tile in tiles {
        match S::LANES {
            TILE => group::<S, E, 1, T>(simd, &task, tile),
            _ => group::<S, E, 2, T>(simd, &task, tile),
        }
    }
}

/// The product of the `V` vectors of outputs that begin with `tile`, with all `T` tokens.
#[inline(always)]
fn group<S: Simd, E: Element, const V: usize, const T: usize>(
    simd: S,
    task: &Task<'_>,
    tile: usize,
) {
    let mut inputs = [std::ptr::null(); T];
    for (token, inputs) in inputs.iter_mut().enumerate() {
        *inputs = task.inputs.token(token).as_ptr();
    }
    let weights = task.weights::<S, E, V>(tile);
    let mut sums = [[simd.zero(); V]; T];
    for (token, sums) in sums.iter_mut().enumerate() {
        *sums = task.start(simd, token, tile, 0);
    }
    // SAFETY: each token has a value for each column, and the tiles have all columns, in whole
    // pairs where they lie in pairs.
    let sums =
        unsafe { accumulate::<S, E, V, T>(simd, weights, inputs, task.matrix.columns(), sums) };
    for (token, sums) in sums.into_iter().enumerate() {
        task.store(simd, token, tile, sums);
    }
}
