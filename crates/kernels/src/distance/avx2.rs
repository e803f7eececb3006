//! Distances with AVX2 and FMA: 8 components at once, the tail by a masked load.
//!
//! Lanes that the mask leaves out are zero in both operands, so they add zero to their sums.

use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps,
    _mm256_castps256_ps128, _mm256_cmpgt_epi32, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_maskload_ps, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_ps,
    _mm256_sub_ps,
};

use super::table::{Tile, common_length, prefetch_after};
use crate::isa::HasAvx2;

const LANES: usize = 8;

/// AVX2; `L2` chooses squared differences over products.
#[derive(Clone, Copy)]
pub(super) struct Avx2<const L2: bool>(pub(super) HasAvx2);

impl<const L2: bool> Tile for Avx2<L2> {
    fn tile<const Q: usize, const R: usize>(
        self,
        queries: [&[f32]; Q],
        rows: [&[f32]; R],
    ) -> [[f32; R]; Q] {
        let HasAvx2 { .. } = self.0;
        // SAFETY: the `HasAvx2` token exists only where the processor has AVX2 and FMA.
        unsafe { tile::<L2, Q, R>(queries, rows) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn tile<const L2: bool, const Q: usize, const R: usize>(
    queries: [&[f32]; Q],
    rows: [&[f32]; R],
) -> [[f32; R]; Q] {
    let length = common_length(&queries, &rows);
    let tail = length % LANES;
    let whole = length - tail;
    let mut sums = [[_mm256_setzero_ps(); R]; Q];
    for at in (0..whole).step_by(LANES) {
        if at.is_multiple_of(2 * LANES) {
            prefetch_after::<Q, R>(&rows, at);
        }
        // SAFETY: `at` is a multiple of LANES below `whole`, a multiple too, so that
        // `at + LANES <= whole <= length`, and no slice is shorter than `length`.
        unsafe {
            let queries = load(&queries, at);
            add::<L2, Q, R>(&mut sums, &queries, &load(&rows, at));
        }
    }
    if tail > 0 {
        let mask = first_lanes(tail);
        // SAFETY: the mask selects `tail` lanes, `whole + tail = length`, and no slice is shorter.
        unsafe {
            let queries = load_masked(&queries, whole, mask);
            add::<L2, Q, R>(&mut sums, &queries, &load_masked(&rows, whole, mask));
        }
    }
    totals(&sums)
}

/// Loads 8 components of each vector.
///
/// # Safety
///
/// Every vector has at least `at + 8` components.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn load<const N: usize>(vectors: &[&[f32]; N], at: usize) -> [__m256; N] {
    let mut loaded = [_mm256_setzero_ps(); N];
    for n in 0..N {
        // SAFETY: the caller promises that these components exist.
        loaded[n] = unsafe { _mm256_loadu_ps(vectors[n].as_ptr().add(at)) };
    }
    loaded
}

/// Loads the components that `mask` selects, from `at` on, and zeros for the others.
///
/// # Safety
///
/// Every vector has at least `at` components and those that the mask selects after them.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn load_masked<const N: usize>(
    vectors: &[&[f32]; N],
    at: usize,
    mask: __m256i,
) -> [__m256; N] {
    let mut loaded = [_mm256_setzero_ps(); N];
    for n in 0..N {
        // SAFETY: the caller promises that the selected components exist; a masked load does not
        // touch the others.
        loaded[n] = unsafe { _mm256_maskload_ps(vectors[n].as_ptr().add(at), mask) };
    }
    loaded
}

/// The mask of the first `count` lanes; `count` is below 8.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn first_lanes(count: usize) -> __m256i {
    let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lane)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn add<const L2: bool, const Q: usize, const R: usize>(
    sums: &mut [[__m256; R]; Q],
    queries: &[__m256; Q],
    rows: &[__m256; R],
) {
    for q in 0..Q {
        for r in 0..R {
            let (a, b) = match L2 {
                true => {
                    let difference = _mm256_sub_ps(queries[q], rows[r]);
                    (difference, difference)
                }
                false => (queries[q], rows[r]),
            };
            sums[q][r] = _mm256_fmadd_ps(a, b, sums[q][r]);
        }
    }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn totals<const Q: usize, const R: usize>(sums: &[[__m256; R]; Q]) -> [[f32; R]; Q] {
    let mut totals = [[0.0; R]; Q];
    for q in 0..Q {
        for r in 0..R {
            totals[q][r] = total(sums[q][r]);
        }
    }
    totals
}

/// The sum of the lanes: halves onto each other until one is left.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn total(sum: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
