//! The rotation itself, for both layouts.
//!
//! Neighbours that make a pair are taken apart through small arrays, whose loops the compiler turns
//! into shuffles; components a half apart need nothing of the kind.

use crate::isa::Supported;
use crate::shape::require_rows;
use crate::simd::{Kernel, MOST_LANES, Simd};
use crate::{Error, Result};

/// Which components of a head make a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RotaryLayout {
    /// `2i` and `2i + 1`, as in the paper and in GGUF files of the Llama line.
    Interleaved,
    /// `i` and `i + rotated / 2`, as in GPT-NeoX and the Hugging Face form of most models.
    Halves,
}

/// Where heads lie in rows of tokens: side by side from `offset` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadRows {
    /// Values from the start of a token's row to the start of the next one's.
    pub stride: usize,
    /// Values of a row before its first head.
    pub offset: usize,
    /// Heads side by side.
    pub heads: usize,
    /// Values of a head.
    pub head_dim: usize,
}

/// Rotates the heads of every token in place. `values` are whole rows of `rows.stride` values, a
/// row a token. `cosines` and `sines` have a row a token too, of as many values as pairs are
/// rotated; the components of a head after those pairs stay as they are.
///
/// # Errors
///
/// [`Error::PartialVector`] if `values` are not whole rows or `cosines` not equally many;
/// [`Error::Length`] if the heads reach beyond a row, if more is to be rotated than a head has, or
/// if `sines` is not as long as `cosines`. `values` are then as they were.
pub fn rotate(
    values: &mut [f32],
    rows: HeadRows,
    cosines: &[f32],
    sines: &[f32],
    layout: RotaryLayout,
) -> Result<()> {
    rotate_on(Supported::active(), values, rows, cosines, sines, layout)
}

pub(super) fn rotate_on(
    cpu: Supported,
    values: &mut [f32],
    rows: HeadRows,
    cosines: &[f32],
    sines: &[f32],
    layout: RotaryLayout,
) -> Result<()> {
    let pairs = check(values, rows, cosines, sines)?;
    if pairs > 0 {
        cpu.run(Rotate {
            values,
            rows,
            cosines,
            sines,
            layout,
            pairs,
        });
    }
    Ok(())
}

/// How many pairs of a head are rotated: 0 if there is nothing to do.
fn check(values: &[f32], rows: HeadRows, cosines: &[f32], sines: &[f32]) -> Result<usize> {
    let tokens = require_rows("values", rows.stride, values.len())?;
    crate::shape::require_length("sines", cosines.len(), sines.len())?;
    let width = rows.heads.saturating_mul(rows.head_dim);
    let end = rows.offset.saturating_add(width);
    if end > rows.stride {
        return Err(Error::Length {
            argument: "a row",
            expected: end,
            received: rows.stride,
        });
    }
    require_rows("cosines", tokens, cosines.len())?;
    let pairs = cosines.len().checked_div(tokens).unwrap_or(0);
    if pairs > rows.head_dim / 2 {
        return Err(Error::Length {
            argument: "cosines",
            expected: tokens * (rows.head_dim / 2),
            received: cosines.len(),
        });
    }
    Ok(pairs)
}

struct Rotate<'a> {
    values: &'a mut [f32],
    rows: HeadRows,
    cosines: &'a [f32],
    sines: &'a [f32],
    layout: RotaryLayout,
    pairs: usize,
}

impl Kernel for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let angles = self.cosines.chunks_exact(self.pairs);
        let angles = angles.zip(self.sines.chunks_exact(self.pairs));
        let tokens = self.values.chunks_exact_mut(self.rows.stride);
        for (row, (cosines, sines)) in tokens.zip(angles) {
            let heads = &mut row[self.rows.offset..][..self.rows.heads * self.rows.head_dim];
            for head in heads.chunks_exact_mut(self.rows.head_dim) {
                let rotated = &mut head[..2 * self.pairs];
                match self.layout {
                    RotaryLayout::Interleaved => interleaved(simd, rotated, cosines, sines),
                    RotaryLayout::Halves => halves(simd, rotated, cosines, sines),
                }
            }
        }
    }
}

/// Turns the points `(x, y)` by the angles: `(x cos - y sin, y cos + x sin)`.
#[inline(always)]
fn turn<S: Simd>(simd: S, x: S::F32, y: S::F32, cos: S::F32, sin: S::F32) -> (S::F32, S::F32) {
    let minus_sin = simd.sub(simd.zero(), sin);
    (
        simd.mul_add(y, minus_sin, simd.mul(x, cos)),
        simd.mul_add(x, sin, simd.mul(y, cos)),
    )
}

/// Pairs a half apart; the slices have `2n`, `n` and `n` values.
#[inline(always)]
fn halves<S: Simd>(simd: S, head: &mut [f32], cosines: &[f32], sines: &[f32]) {
    let (first, second) = head.split_at_mut(cosines.len());
    let first = first.chunks_mut(S::LANES);
    let points = first.zip(second.chunks_mut(S::LANES));
    let angles = cosines.chunks(S::LANES).zip(sines.chunks(S::LANES));
    for ((x, y), (cos, sin)) in points.zip(angles) {
        if x.len() < S::LANES {
            let (cos, sin) = (simd.load_first(cos), simd.load_first(sin));
            let turned = turn(simd, simd.load_first(x), simd.load_first(y), cos, sin);
            simd.store_first(x, turned.0);
            simd.store_first(y, turned.1);
            continue;
        }
        // SAFETY: the four chunks are equally long, by the lengths above: LANES values.
        unsafe {
            let (cos, sin) = (simd.load(cos.as_ptr()), simd.load(sin.as_ptr()));
            let turned = turn(simd, simd.load(x.as_ptr()), simd.load(y.as_ptr()), cos, sin);
            simd.store(x.as_mut_ptr(), turned.0);
            simd.store(y.as_mut_ptr(), turned.1);
        }
    }
}

/// Neighbouring pairs; the slices have `2n`, `n` and `n` values.
#[inline(always)]
fn interleaved<S: Simd>(simd: S, head: &mut [f32], cosines: &[f32], sines: &[f32]) {
    let angles = cosines.chunks(S::LANES).zip(sines.chunks(S::LANES));
    for (points, (cos, sin)) in head.chunks_mut(2 * S::LANES).zip(angles) {
        let (mut x, mut y) = ([0.0; MOST_LANES], [0.0; MOST_LANES]);
        for (point, (x, y)) in points.chunks_exact(2).zip(x.iter_mut().zip(&mut y)) {
            (*x, *y) = (point[0], point[1]);
        }
        let (cos, sin) = (simd.load_first(cos), simd.load_first(sin));
        let turned = turn(simd, simd.load_first(&x), simd.load_first(&y), cos, sin);
        simd.store_first(&mut x, turned.0);
        simd.store_first(&mut y, turned.1);
        for (point, (x, y)) in points.chunks_exact_mut(2).zip(x.iter().zip(&y)) {
            point.copy_from_slice(&[*x, *y]);
        }
    }
}
