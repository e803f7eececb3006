//! Distances with AVX-512: 16 components at once, the tail by a masked load.
//!
//! Lanes that the mask leaves out are zero in both operands, so they add zero to their sums.

use std::arch::x86_64::{
    __m512, __mmask16, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_loadu_ps,
    _mm512_reduce_add_ps, _mm512_setzero_ps, _mm512_sub_ps,
};

use super::table::{Tile, common_length, prefetch_after};
use crate::isa::HasAvx512;

const LANES: usize = 16;

/// AVX-512; `L2` chooses squared differences over products.
#[derive(Clone, Copy)]
pub(super) struct Avx512<const L2: bool>(pub(super) HasAvx512);

impl<const L2: bool> Tile for Avx512<L2> {
    fn tile<const Q: usize, const R: usize>(
        self,
        queries: [&[f32]; Q],
        rows: [&[f32]; R],
    ) -> [[f32; R]; Q] {
        let HasAvx512 { .. } = self.0;
        // SAFETY: the `HasAvx512` token exists only where the processor has AVX-512 F.
        unsafe { tile::<L2, Q, R>(queries, rows) }
    }
}

#[target_feature(enable = "avx512f")]
fn tile<const L2: bool, const Q: usize, const R: usize>(
    queries: [&[f32]; Q],
    rows: [&[f32]; R],
) -> [[f32; R]; Q] {
    let length = common_length(&queries, &rows);
    let tail = length % LANES;
    let whole = length - tail;
    let mut sums = [[_mm512_setzero_ps(); R]; Q];
    for at in (0..whole).step_by(LANES) {
        prefetch_after::<Q, R>(&rows, at);
        // SAFETY: `at` is a multiple of LANES below `whole`, a multiple too, so that
        // `at + LANES <= whole <= length`, and no slice is shorter than `length`.
        unsafe {
            let queries = load(&queries, at);
            add::<L2, Q, R>(&mut sums, &queries, &load(&rows, at));
        }
    }
    if tail > 0 {
        let mask = (1 << tail) - 1;
        // SAFETY: the mask selects `tail` lanes, `whole + tail = length`, and no slice is shorter.
        unsafe {
            let queries = load_masked(&queries, whole, mask);
            add::<L2, Q, R>(&mut sums, &queries, &load_masked(&rows, whole, mask));
        }
    }
    totals(&sums)
}

/// Loads 16 components of each vector.
///
/// # Safety
///
/// Every vector has at least `at + 16` components.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load<const N: usize>(vectors: &[&[f32]; N], at: usize) -> [__m512; N] {
    let mut loaded = [_mm512_setzero_ps(); N];
    for n in 0..N {
        // SAFETY: the caller promises that these components exist.
        loaded[n] = unsafe { _mm512_loadu_ps(vectors[n].as_ptr().add(at)) };
    }
    loaded
}

/// Loads the components that `mask` selects, from `at` on, and zeros for the others.
///
/// # Safety
///
/// Every vector has at least `at` components and those that the mask selects after them.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load_masked<const N: usize>(
    vectors: &[&[f32]; N],
    at: usize,
    mask: __mmask16,
) -> [__m512; N] {
    let mut loaded = [_mm512_setzero_ps(); N];
    for n in 0..N {
        // SAFETY: the caller promises that the selected components exist; a masked load does not
        // touch the others.
        loaded[n] = unsafe { _mm512_maskz_loadu_ps(mask, vectors[n].as_ptr().add(at)) };
    }
    loaded
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add<const L2: bool, const Q: usize, const R: usize>(
    sums: &mut [[__m512; R]; Q],
    queries: &[__m512; Q],
    rows: &[__m512; R],
) {
    for q in 0..Q {
        for r in 0..R {
            let (a, b) = match L2 {
                true => {
                    let difference = _mm512_sub_ps(queries[q], rows[r]);
                    (difference, difference)
                }
                false => (queries[q], rows[r]),
            };
            sums[q][r] = _mm512_fmadd_ps(a, b, sums[q][r]);
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn totals<const Q: usize, const R: usize>(sums: &[[__m512; R]; Q]) -> [[f32; R]; Q] {
    let mut totals = [[0.0; R]; Q];
    for q in 0..Q {
        for r in 0..R {
            totals[q][r] = _mm512_reduce_add_ps(sums[q][r]);
        }
    }
    totals
}
