//! Softmax of rows: `e^x` over the sum of the row's, less the row's greatest value first, so that
//! nothing overflows.
//!
//! Attention does not come by here: it folds its softmax into the sums (see `attention`).

use crate::Result;
use crate::isa::Supported;
use crate::shape::require_rows;
use crate::simd::{Kernel, Simd};

/// Softmax of each row of `width` values, in place. A row whose greatest value is infinite has no
/// softmax and becomes NaN where it has that value.
///
/// # Errors
///
/// [`Error::PartialVector`](crate::Error::PartialVector) if `values` are not whole rows; they are
/// then as they were.
pub fn softmax(values: &mut [f32], width: usize) -> Result<()> {
    softmax_on(Supported::active(), values, width)
}

pub(super) fn softmax_on(cpu: Supported, values: &mut [f32], width: usize) -> Result<()> {
    if require_rows("values", width, values.len())? > 0 {
        cpu.run(Softmax { values, width });
    }
    Ok(())
}

struct Softmax<'a> {
    values: &'a mut [f32],
    width: usize,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for row in self.values.chunks_exact_mut(self.width) {
            let lowest = f32::NEG_INFINITY;
            // `max` gives its second argument for NaN: the greatest of the others.
            let lanes = simd.fold(
                row,
                lowest,
                simd.splat(lowest),
                #[inline(always)]
                |most, x| simd.max(x, most),
            );
            let greatest = simd.splat(simd.greatest(lanes));
            simd.map_in_place(
                row,
                #[inline(always)]
                |x| simd.exp(simd.sub(x, greatest)),
            );
            let sums = simd.fold(
                row,
                0.0,
                simd.zero(),
                #[inline(always)]
                |sum, x| simd.add(sum, x),
            );
            let share = simd.splat(1.0 / simd.sum(sums));
            simd.map_in_place(
                row,
                #[inline(always)]
                |x| simd.mul(x, share),
            );
        }
    }
}
