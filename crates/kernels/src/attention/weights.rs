//! The softmax of a few rows of scores of a page, and how a page joins what came before it.
//!
//! Each row keeps its greatest score so far and what it has summed relative to that. A page is summed
//! up by itself, relative to its own greatest score, and then joins: both sums shrink to the greater
//! of the two scores. Pages join one after another in their order, always by [`Shares::join`], so a
//! row's result has the same bits whether one task has walked over its pages or many tasks have summed
//! them up apart. Sums stay spread over lanes until the end.

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

/// By what the sums of `R` rows, at most `MOST_LANES`, are multiplied when a page joins them.
#[derive(Clone, Copy)]
pub(super) struct Shares<const R: usize> {
    /// What the rows have summed before.
    former: [f32; MOST_LANES],
    /// What they have summed of the page.
    page: [f32; MOST_LANES],
}

impl<const R: usize> Shares<R> {
    /// For rows whose greatest score was `former[r]`, and in the page is `page[r]`. A row that sees
    /// nothing of the page has [`LOWEST`] there, and keeps its sums as they are.
    #[inline(always)]
    pub(super) fn new<S: Simd>(simd: S, former: [f32; R], page: [f32; R]) -> Self {
        let mut shares = Self {
            former: [0.0; MOST_LANES],
            page: [0.0; MOST_LANES],
        };
        for r in 0..R {
            let most = greater(former[r], page[r]);
            shares.former[r] = former[r] - most;
            shares.page[r] = page[r] - most;
        }
        let used = R.next_multiple_of(S::LANES);
        powers(simd, &mut shares.former[..used]);
        powers(simd, &mut shares.page[..used]);
        shares
    }

    /// Row `r`'s sums with the page's.
    #[inline(always)]
    pub(super) fn join<S: Simd>(&self, simd: S, r: usize, former: S::F32, page: S::F32) -> S::F32 {
        let kept = simd.mul(former, simd.splat(self.former[r]));
        simd.mul_add(page, simd.splat(self.page[r]), kept)
    }
}

/// Replaces whole vectors of values by 2 to their power.
#[inline(always)]
fn powers<S: Simd>(simd: S, values: &mut [f32]) {
    for values in values.chunks_exact_mut(S::LANES) {
        // SAFETY: a chunk has LANES values.
        unsafe { simd.store(values.as_mut_ptr(), exp2(simd, simd.load(values.as_ptr()))) };
    }
}

/// The greater of two scores, neither of which is NaN.
#[inline(always)]
pub(super) fn greater(left: f32, right: f32) -> f32 {
    if right > left { right } else { left }
}

/// Turns `R` rows of scores of a page into weights relative to each row's greatest, in place, and
/// returns how the page's sums join the former ones. Rows have `stride` values, of which the first
/// `width`, a multiple of `LANES`, are scores. `most` has the rows' greatest scores so far, `sums`
/// their `MOST_LANES` lanes of sums of weights; the page joins both.
#[inline(always)]
pub(super) fn weigh<S: Simd, const R: usize>(
    simd: S,
    scores: &mut [f32],
    stride: usize,
    width: usize,
    most: &mut [f32],
    sums: &mut [f32],
) -> Shares<R> {
    let (mut former, mut page) = ([LOWEST; R], [LOWEST; R]);
    for r in 0..R {
        let row = &scores[r * stride..][..width];
        // `max` gives its second argument for NaN: the greatest of the others.
        let lanes = simd.fold(row, LOWEST, simd.splat(LOWEST), |most, x| simd.max(x, most));
        page[r] = simd.greatest(lanes);
        former[r] = most[r];
        most[r] = greater(former[r], page[r]);
    }
    let shares = Shares::new(simd, former, page);
    for r in 0..R {
        let row = &mut scores[r * stride..][..width];
        let greatest = simd.splat(page[r]);
        let mut sum = simd.zero();
        for scores in row.chunks_exact_mut(S::LANES) {
            // SAFETY: a chunk has LANES values.
            unsafe {
                let weights = exp2(simd, simd.sub(simd.load(scores.as_ptr()), greatest));
                simd.store(scores.as_mut_ptr(), weights);
                sum = simd.add(sum, weights);
            }
        }
        let lanes = &mut sums[r * MOST_LANES..][..S::LANES];
        let joined = shares.join(simd, r, simd.load_first(lanes), sum);
        simd.store_first(lanes, joined);
    }
    shares
}
