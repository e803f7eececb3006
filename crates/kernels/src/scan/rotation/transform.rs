//! The Hadamard transform: vectors are mixed lane by lane within, then with each other.

use crate::simd::{MOST_LANES, Simd};

/// The orthonormal Hadamard transform of a power of two of components: they are scaled, then replaced
/// by sums and differences of those 1, 2, 4, ... apart, in this order.
#[inline(always)]
pub(super) fn transform<S: Simd>(simd: S, values: &mut [f32]) {
    let scale = 1.0 / (values.len() as f32).sqrt();
    if values.len() < S::LANES {
        values.iter_mut().for_each(|value| *value *= scale);
        mix_few(values);
        return;
    }
    let scale = simd.splat(scale);
    simd.map_in_place(
        values,
        #[inline(always)]
        |value| mix_lanes(simd, simd.mul(value, scale)),
    );
    mix_vectors(simd, values);
}

/// Sums and differences of the lanes of a vector.
#[inline(always)]
fn mix_lanes<S: Simd>(simd: S, value: S::F32) -> S::F32 {
    let value = mix::<S, 1>(simd, value);
    let value = mix::<S, 2>(simd, value);
    let value = mix::<S, 4>(simd, value);
    match S::LANES > 8 {
        true => mix::<S, 8>(simd, value),
        false => value,
    }
}

/// Sums and differences of lanes `APART` apart: multiplying with a sign rounds nothing.
#[inline(always)]
fn mix<S: Simd, const APART: usize>(simd: S, value: S::F32) -> S::F32 {
    const { assert!(APART < MOST_LANES) };
    let signs = const { signs_of_lanes(APART) };
    simd.mul_add(value, simd.load_first(&signs), simd.swap::<APART>(value))
}

/// The sign that a lane has in the sum with the one that is `apart`.
const fn signs_of_lanes(apart: usize) -> [f32; MOST_LANES] {
    let mut signs = [1.0; MOST_LANES];
    let mut lane = 0;
    while lane < MOST_LANES {
        if lane & apart != 0 {
            signs[lane] = -1.0;
        }
        lane += 1;
    }
    signs
}

/// Sums and differences of components `LANES` apart and more.
#[inline(always)]
fn mix_vectors<S: Simd>(simd: S, values: &mut [f32]) {
    let mut apart = S::LANES;
    while apart < values.len() {
        for pair in values.chunks_exact_mut(2 * apart) {
            let (first, second) = pair.split_at_mut(apart);
            let vectors = first.chunks_exact_mut(S::LANES);
            for (a, b) in vectors.zip(second.chunks_exact_mut(S::LANES)) {
                // SAFETY: chunks of LANES values.
                unsafe {
                    let (x, y) = (simd.load(a.as_ptr()), simd.load(b.as_ptr()));
                    simd.store(a.as_mut_ptr(), simd.add(x, y));
                    simd.store(b.as_mut_ptr(), simd.sub(x, y));
                }
            }
        }
        apart *= 2;
    }
}

/// Sums and differences of components that are fewer than lanes.
#[inline(always)]
fn mix_few(values: &mut [f32]) {
    let mut apart = 1;
    while apart < values.len() {
        for pair in values.chunks_exact_mut(2 * apart) {
            let (first, second) = pair.split_at_mut(apart);
            for (a, b) in first.iter_mut().zip(second) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        apart *= 2;
    }
}
