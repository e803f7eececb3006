//! What is done with vectors of pairs and of sums.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{GROUP, LANES, SPAN};

/// What has been summed for a query.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// The greatest score.
    pub(super) most: f32,
    /// The sum of weights.
    pub(super) sum: f32,
}

/// The products of [`GROUP`] rows of pairs with `V` vectors of pairs, `stride` pairs from one row of
/// these to the next. `row` says where a pair of a row is.
///
/// # Safety
///
/// For each of `depth` pairs and each row, `row` is valid for a read, and each of `panel` for reads of
/// [`LANES`] pairs at that multiple of `stride`.
#[allow(clippy::needless_range_loop)] // With indices the loops unroll completely.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn products<const V: usize>(
    row: impl Fn(usize, usize) -> *const u32,
    panel: [*const u32; V],
    stride: usize,
    depth: usize,
) -> [[__m512; V]; GROUP] {
    let mut sums = [[_mm512_setzero_ps(); V]; GROUP];
    for pair in 0..depth {
        // SAFETY: the caller promises the places; vectors of both types are 64 bytes, of which every
        // pattern is a value.
        unsafe {
            let mut vectors = [transmute::<__m512i, __m512bh>(_mm512_setzero_si512()); V];
            for v in 0..V {
                let loaded = _mm512_loadu_si512(panel[v].add(pair * stride).cast());
                vectors[v] = transmute::<__m512i, __m512bh>(loaded);
            }
            for r in 0..GROUP {
                let lanes = _mm512_set1_epi32((*row(pair, r)).cast_signed());
                let lanes = transmute::<__m512i, __m512bh>(lanes);
                for v in 0..V {
                    sums[r][v] = _mm512_dpbf16_ps(sums[r][v], vectors[v], lanes);
                }
            }
        }
    }
    sums
}

/// Writes vectors one after another.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store<const V: usize>(to: &mut [f32], vectors: [__m512; V]) {
    for (to, vector) in to.as_chunks_mut::<LANES>().0.iter_mut().zip(vectors) {
        // SAFETY: there is room for 16 values.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), vector) };
    }
}

/// Multiplies what is there by a share and adds vectors, one after another.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn join<const V: usize>(to: &mut [f32], vectors: [__m512; V], share: f32) {
    for (to, vector) in to.as_chunks_mut::<LANES>().0.iter_mut().zip(vectors) {
        // SAFETY: there are 16 values.
        unsafe {
            let kept = _mm512_loadu_ps(to.as_ptr());
            let joined = _mm512_fmadd_ps(kept, _mm512_set1_ps(share), vector);
            _mm512_storeu_ps(to.as_mut_ptr(), joined);
        }
    }
}

/// Turns a row's scores of a span into weights relative to its greatest score so far, in pairs, and adds
/// them to its sum; returns what is left of what it has summed before.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bf16")]
pub(super) fn weigh(scores: &[f32], weights: &mut [u32; SPAN / 2], state: &mut State) -> f32 {
    let (scores, _) = scores.as_chunks::<LANES>();
    let mut lanes = _mm512_set1_ps(state.most);
    for scores in scores {
        // The second argument for NaN: the greatest of the others.
        lanes = _mm512_max_ps(load(scores), lanes);
    }
    let most = _mm512_reduce_max_ps(lanes);
    let greatest = _mm512_set1_ps(most);
    let mut sums = _mm512_setzero_ps();
    let (weights, _) = weights.as_chunks_mut::<{ LANES / 2 }>();
    for (scores, weights) in scores.iter().zip(weights) {
        let weight = exp2(_mm512_sub_ps(load(scores), greatest));
        sums = _mm512_add_ps(sums, weight);
        // SAFETY: both are 32 bytes, of which every pattern is a value.
        *weights = unsafe { transmute::<__m256bh, [u32; LANES / 2]>(_mm512_cvtneps_pbh(weight)) };
    }
    let share = (state.most - most).exp2();
    state.sum = state.sum * share + _mm512_reduce_add_ps(sums);
    state.most = most;
    share
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32; LANES]) -> __m512 {
    // SAFETY: there are 16 values.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

/// 2 to the power of numbers that are not above 0, within 8e-5 relatively: a fiftieth of what rounding to
/// bfloat16 costs afterwards. The polynomial was fitted to the fraction in 0 .. 1 so that its greatest
/// relative error is as small as can be.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn exp2(x: __m512) -> __m512 {
    const POLYNOMIAL: [f32; 4] = [0.078_024_52, 0.226_067_16, 0.695_833_56, 0.999_925_2];
    let fraction = _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(x);
    let mut p = _mm512_set1_ps(POLYNOMIAL[0]);
    for coefficient in &POLYNOMIAL[1..] {
        p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(*coefficient));
    }
    _mm512_scalef_ps(p, x)
}
