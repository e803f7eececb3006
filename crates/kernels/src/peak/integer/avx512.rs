//! AVX-512 VNNI: one instruction multiplies 64 pairs of bytes and adds them up by fours.

use std::arch::x86_64::*;
use std::hint::black_box;

use crate::isa::HasAvx512;

/// Independent sums, which hide the latency of the instruction.
const CHAINS: usize = 12;

/// Products of a step.
pub(super) const PRODUCTS: usize = CHAINS * 64;

/// Does the steps in independent chains.
pub(super) fn sum(_: HasAvx512, steps: usize) -> i32 {
    // SAFETY: the token exists only where the processor has these features.
    unsafe { inner(steps) }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn inner(steps: usize) -> i32 {
    let weights = _mm512_set1_epi8(black_box(3));
    let activations = _mm512_set1_epi8(black_box(5));
    let mut sums = [_mm512_setzero_si512(); CHAINS];
    for (number, sum) in sums.iter_mut().enumerate() {
        *sum = _mm512_set1_epi32(black_box(number as i32));
    }
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, weights, activations);
        }
    }
    let mut total = _mm512_setzero_si512();
    for sum in sums {
        total = _mm512_add_epi32(total, sum);
    }
    _mm512_reduce_add_epi32(total)
}
