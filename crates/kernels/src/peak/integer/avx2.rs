//! AVX2 multiplies bytes into 16-bit sums of two and has no instruction that adds those up in the
//! same go, so a step is two instructions.

use std::arch::x86_64::*;
use std::hint::black_box;

use crate::isa::HasAvx2;

/// Independent sums: they hide the latency of the two instructions and fit in the 16 registers.
const CHAINS: usize = 12;

/// Products of a step.
pub(super) const PRODUCTS: usize = CHAINS * 32;

/// Does the steps in independent chains.
pub(super) fn sum(_: HasAvx2, steps: usize) -> i32 {
    // SAFETY: the token exists only where the processor has AVX2.
    unsafe { inner(steps) }
}

#[target_feature(enable = "avx2")]
fn inner(steps: usize) -> i32 {
    let weights = _mm256_set1_epi8(black_box(3));
    let mut sums = [_mm256_setzero_si256(); CHAINS];
    for (number, sum) in sums.iter_mut().enumerate() {
        *sum = _mm256_set1_epi16(black_box(number as i16));
    }
    for _ in 0..steps {
        for sum in &mut sums {
            // The sum itself is the other factor, so no product can be taken out of the loop.
            *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(weights, *sum));
        }
    }
    let mut total = _mm256_setzero_si256();
    for sum in sums {
        total = _mm256_add_epi16(total, sum);
    }
    _mm256_extract_epi32::<0>(total)
}
