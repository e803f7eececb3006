//! The softmax of a few rows of scores, folded into what the rows have summed before.
//!
//! Each row keeps its greatest score and the sum of its weights relative to that. When a block brings
//! a greater one, all that the row has summed shrinks by a factor; the factors of a group of rows are
//! one vector's exponential. Sums stay spread over lanes until the end.

use crate::simd::{MOST_LANES, Simd};

/// Where greatest scores begin: below all real ones, and finite, so that a row that has seen nothing
/// (all its scores are -inf) gets weights of 0 rather than NaN.
pub(super) const LOWEST: f32 = -1e30;

/// 2 to the power of numbers that are not above 0: within 3e-7 of the truth relatively, and 0 below
/// -126.5; NaN for NaN. For the fraction in -1/2 ..= 1/2 a polynomial of degree 5 that is 1 at 0, fitted
/// so that its greatest relative error there, 1.1e-7, is as small as can be.
#[inline(always)]
pub(super) fn exp2<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // From the fifth power down to the constant. The first power's is near ln(2), but not it.
    #[allow(clippy::approx_constant)]
    const POLYNOMIAL: [f32; 6] = [
        1.326_472_7e-3,
        9.671_513e-3,
        5.550_733_6e-2,
        2.402_224_2e-1,
        6.931_47e-1,
        1.0,
    ];
    // The exponent -127 is that of zero, so `power_of_two` gives 0 for it on every tier.
    let x = simd.max(simd.splat(-127.0), x);
    let n = simd.round(x);
    let fraction = simd.sub(x, n);
    let mut p = simd.splat(POLYNOMIAL[0]);
    for coefficient in &POLYNOMIAL[1..] {
        p = simd.mul_add(p, fraction, simd.splat(*coefficient));
    }
    simd.mul(p, simd.power_of_two(n))
}

/// Turns `R` rows of scores into weights, in place, and returns by what each row's former sums
/// shrink. Rows have `stride` values, of which the first `width`, a multiple of `LANES`, are scores.
/// `most` has the rows' greatest scores so far, `sums` their `MOST_LANES` lanes of sums; both are
/// brought up to date.
#[inline(always)]
pub(super) fn weigh<S: Simd, const R: usize>(
    simd: S,
    scores: &mut [f32],
    stride: usize,
    width: usize,
    most: &mut [f32],
    sums: &mut [f32],
) -> [f32; R] {
    let mut shrink = [0.0; MOST_LANES];
    for r in 0..R {
        let row = &scores[r * stride..][..width];
        // `max` gives its second argument for NaN: the greatest of the others.
        let lanes = simd.fold(row, LOWEST, simd.splat(most[r]), |most, x| {
            simd.max(x, most)
        });
        let greatest = simd.greatest(lanes);
        shrink[r] = most[r] - greatest;
        most[r] = greatest;
    }
    let powers = exp2(simd, simd.load_first(&shrink));
    simd.store_first(&mut shrink, powers);
    for r in 0..R {
        let row = &mut scores[r * stride..][..width];
        let greatest = simd.splat(most[r]);
        let lanes = &mut sums[r * MOST_LANES..][..S::LANES];
        let mut sum = simd.mul(simd.load_first(lanes), simd.splat(shrink[r]));
        for scores in row.chunks_exact_mut(S::LANES) {
            // SAFETY: a chunk has LANES values.
            unsafe {
                let weights = exp2(simd, simd.sub(simd.load(scores.as_ptr()), greatest));
                simd.store(scores.as_mut_ptr(), weights);
                sum = simd.add(sum, weights);
            }
        }
        simd.store_first(lanes, sum);
    }
    let mut factors = [0.0; R];
    factors.copy_from_slice(&shrink[..R]);
    factors
}
