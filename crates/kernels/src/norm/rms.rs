//! RMS norm (Zhang and Sennrich 2019, <https://arxiv.org/abs/1910.07467>): each row divided by the
//! root of its mean square, then scaled by component. The norm of Llama's line of models.
//!
//! The root is taken once a row, in scalar code, so it is exact to the last bit on every tier.

use crate::Result;
use crate::isa::Supported;
use crate::lanes::Lanes;
use crate::shape::{require_length, require_rows};
use crate::simd::{Kernel, Simd};

/// `out = input / sqrt(mean(input^2) + epsilon) * scale`, row by row; rows have `scale.len()`
/// values. `epsilon` is added to a mean of squares, so it has the unit of a square.
///
/// # Errors
///
/// [`Error::Length`](crate::Error::Length) if `out` is not as long as `input`,
/// [`Error::PartialVector`](crate::Error::PartialVector) if `input` is not whole rows; `out` is
/// then as it was.
pub fn rms_norm(input: &[f32], scale: &[f32], epsilon: f32, out: &mut [f32]) -> Result<()> {
    rms_norm_on(Supported::active(), input, scale, epsilon, out)
}

pub(super) fn rms_norm_on(
    cpu: Supported,
    input: &[f32],
    scale: &[f32],
    epsilon: f32,
    out: &mut [f32],
) -> Result<()> {
    require_length("out", input.len(), out.len())?;
    if require_rows("input", scale.len(), input.len())? > 0 {
        cpu.run(RmsNorm {
            input,
            scale,
            epsilon,
            out,
        });
    }
    Ok(())
}

struct RmsNorm<'a> {
    input: &'a [f32],
    scale: &'a [f32],
    epsilon: f32,
    out: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.scale.len();
        let rows = self.input.chunks_exact(width);
        for (row, out) in rows.zip(self.out.chunks_exact_mut(width)) {
            let squares = simd.fold(
                row,
                0.0,
                simd.zero(),
                #[inline(always)]
                |sum, x| simd.mul_add(x, x, sum),
            );
            let mean = simd.sum(squares) / width as f32;
            let factor = simd.splat(1.0 / (mean + self.epsilon).sqrt());
            simd.zip_into(
                row,
                self.scale,
                out,
                #[inline(always)]
                |x, scale| simd.mul(simd.mul(x, factor), scale),
            );
        }
    }
}
