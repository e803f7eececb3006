//! Walks over queries and rows in tiles.
//!
//! A tile is a few queries against a few rows, with one running sum per pair in registers: what
//! is loaded serves several sums, and several sums hide the latency of one. Only the tile knows
//! the instruction set; this walk is the same for all. Every shape of tile adds up a pair in the
//! same order, so edges (fewer queries or rows than a full tile) give the same bits.

use std::array;

/// Rows of a full tile: four independent sums keep a scan of one query bound by memory.
const ROWS: usize = 4;

/// The arithmetic of one instruction set.
pub(super) trait Tile: Copy {
    /// The values of all pairs, over as many components as the shortest of the slices has.
    fn tile<const Q: usize, const R: usize>(
        self,
        queries: [&[f32]; Q],
        rows: [&[f32]; R],
    ) -> [[f32; R]; Q];
}

/// Fills `out` (query after query, a value per row) in tiles of `QUERIES` queries. `dimension`
/// is not 0 and divides the lengths.
pub(super) fn fill<T: Tile, const QUERIES: usize>(
    tile: T,
    queries: &[f32],
    rows: &[f32],
    dimension: usize,
    out: &mut [f32],
) {
    let row_count = rows.len() / dimension;
    if row_count == 0 {
        return;
    }
    let groups = queries.chunks_exact(QUERIES * dimension);
    let rest = groups.remainder();
    let (out, rest_out) = out.split_at_mut(groups.len() * QUERIES * row_count);
    for (group, out) in groups.zip(out.chunks_exact_mut(QUERIES * row_count)) {
        stripe::<T, QUERIES>(tile, group, rows, dimension, out);
    }
    for (query, out) in rest
        .chunks_exact(dimension)
        .zip(rest_out.chunks_exact_mut(row_count))
    {
        stripe::<T, 1>(tile, query, rows, dimension, out);
    }
}

/// One group of queries against all rows.
fn stripe<T: Tile, const Q: usize>(
    tile: T,
    queries: &[f32],
    rows: &[f32],
    dimension: usize,
    out: &mut [f32],
) {
    let row_count = rows.len() / dimension;
    let queries: [&[f32]; Q] = vectors(queries, dimension);
    let blocks = rows.chunks_exact(ROWS * dimension);
    let rest = blocks.remainder();
    let rest_at = blocks.len() * ROWS;
    for (block, values) in blocks.enumerate() {
        let values = tile.tile::<Q, ROWS>(queries, vectors(values, dimension));
        for (q, values) in values.iter().enumerate() {
            let at = q * row_count + block * ROWS;
            out[at..at + ROWS].copy_from_slice(values);
        }
    }
    for (at, row) in (rest_at..).zip(rest.chunks_exact(dimension)) {
        for (q, [value]) in tile.tile::<Q, 1>(queries, [row]).into_iter().enumerate() {
            out[q * row_count + at] = value;
        }
    }
}

/// The first `N` vectors of `values`.
fn vectors<const N: usize>(values: &[f32], dimension: usize) -> [&[f32]; N] {
    array::from_fn(|i| &values[i * dimension..(i + 1) * dimension])
}

/// Asks for the same part of the rows that follow these in memory, while these are read: one query
/// waits for memory, and the processor's own prefetching begins anew with each row. With more queries
/// rows come from a cache.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn prefetch_after<const Q: usize, const R: usize>(rows: &[&[f32]; R], at: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    if Q > 1 {
        return;
    }
    for row in rows {
        let next = row.as_ptr().wrapping_add(R * row.len() + at);
        // SAFETY: a hint, which never faults whatever the address; SSE is in every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(next.cast()) };
    }
}

/// The length up to which every slice of a tile may be read.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn common_length<const Q: usize, const R: usize>(
    queries: &[&[f32]; Q],
    rows: &[&[f32]; R],
) -> usize {
    let lengths = queries.iter().chain(rows).map(|vector| vector.len());
    lengths.min().unwrap_or(0)
}
