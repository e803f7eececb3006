//! Layer norm (Ba, Kiros and Hinton 2016, <https://arxiv.org/abs/1607.06450>): each row less its
//! mean and divided by its standard deviation, then scaled and shifted by component. The norm of
//! BERT's line of encoders.
//!
//! The variance is the mean square of the differences from the mean, in a pass of its own: the
//! difference of two large sums would lose the digits of rows that lie far from zero.

use crate::Result;
use crate::isa::Supported;
use crate::lanes::Lanes;
use crate::shape::{require_length, require_rows};
use crate::simd::{Kernel, Simd};

/// `values = (values - mean) / sqrt(variance + epsilon) * scale + shift`, row by row, in place;
/// rows have `scale.len()` values. `epsilon` has the unit of a square.
///
/// # Errors
///
/// [`Error::Length`](crate::Error::Length) if `shift` is not as long as `scale`,
/// [`Error::PartialVector`](crate::Error::PartialVector) if `values` are not whole rows; `values`
/// are then as they were.
pub fn layer_norm(values: &mut [f32], scale: &[f32], shift: &[f32], epsilon: f32) -> Result<()> {
    layer_norm_on(Supported::active(), values, scale, shift, epsilon)
}

pub(super) fn layer_norm_on(
    cpu: Supported,
    values: &mut [f32],
    scale: &[f32],
    shift: &[f32],
    epsilon: f32,
) -> Result<()> {
    require_length("shift", scale.len(), shift.len())?;
    if require_rows("values", scale.len(), values.len())? > 0 {
        cpu.run(LayerNorm {
            values,
            scale,
            shift,
            epsilon,
        });
    }
    Ok(())
}

struct LayerNorm<'a> {
    values: &'a mut [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    epsilon: f32,
}

impl Kernel for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.scale.len();
        for row in self.values.chunks_exact_mut(width) {
            let total = simd.fold(
                row,
                0.0,
                simd.zero(),
                #[inline(always)]
                |sum, x| simd.add(sum, x),
            );
            let mean = simd.sum(total) / width as f32;
            let centre = simd.splat(mean);
            // The filler of a last partial vector is the mean, which differs from it by nothing.
            let squares = simd.fold(
                row,
                mean,
                simd.zero(),
                #[inline(always)]
                |sum, x| {
                    let difference = simd.sub(x, centre);
                    simd.mul_add(difference, difference, sum)
                },
            );
            let variance = simd.sum(squares) / width as f32;
            let factor = simd.splat(1.0 / (variance + self.epsilon).sqrt());
            simd.zip_in_place(
                row,
                self.scale,
                #[inline(always)]
                |x, scale| simd.mul(simd.mul(simd.sub(x, centre), factor), scale),
            );
            simd.zip_in_place(
                row,
                self.shift,
                #[inline(always)]
                |x, shift| simd.add(x, shift),
            );
        }
    }
}
