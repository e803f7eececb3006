//! Many tokens with the processor's bfloat16 instruction, which adds the products of two pairs to
//! each f32 lane and so does twice the work of a multiply-add.
//!
//! It wants both factors in bfloat16, takes denormal numbers for zero and rounds after each product.
//! Rounding the inputs to 8 bits is an error of the same size as that with which the weights were
//! stored, and it is independent from input to input.

use std::arch::x86_64::*;
use std::mem::transmute;
use std::ops::Range;

use super::element::BrainElement;
use super::many::{self, Panel, Scratch};
use super::pairs::RoundedPairs;
use super::product::Task;
use super::{DenseInputs, TILE};
use crate::disjoint::Disjoint;
use crate::isa::{HasAvx512, HasBf16};
use crate::team::Team;

/// Tokens that a task rounds.
const TASK_TOKENS: usize = 16;

/// Multiplies inputs that have been rounded; panics if they have not.
pub(super) fn product(proof: HasAvx512, bf16: HasBf16, task: Task<'_>) {
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    fn inner(proof: HasAvx512, bf16: HasBf16, task: Task<'_>) {
        many::product(proof, Pairs(bf16), task);
    }
    assert!(task.inputs.are_rounded());
    // SAFETY: the tokens exist only where the processor has these features.
    unsafe { inner(proof, bf16, task) }
}

/// Panels as they lie in the matrix: pairs of columns.
#[derive(Clone, Copy)]
struct Pairs(HasBf16);

impl Panel<HasAvx512> for Pairs {
    type Weight = u16;
    type Input = u32;
    // 96 KiB for two tiles, from the second cache where the first has no room.
    const COLUMNS: usize = 1536;

    #[inline(always)]
    fn weights<const V: usize>(
        self,
        _: HasAvx512,
        task: &Task<'_>,
        tile: usize,
        columns: Range<usize>,
        _: &mut Scratch,
    ) -> [*const u16; V] {
        let first = task.weights::<HasAvx512, BrainElement, V>(tile);
        // Blocks begin at even columns. The pointer is not read through here.
        first.map(|weights| weights.wrapping_add(columns.start * TILE))
    }

    /// Null if the inputs have not been rounded, which `product` rules out.
    #[inline(always)]
    fn inputs(self, inputs: &DenseInputs<'_>, token: usize, column: usize) -> *const u32 {
        match inputs.pairs() {
            Some(pairs) => pairs.token(token)[column / 2..].as_ptr(),
            None => std::ptr::null(),
        }
    }

    #[inline(always)]
    unsafe fn accumulate<const V: usize, const T: usize>(
        self,
        _: HasAvx512,
        weights: [*const u16; V],
        inputs: [*const u32; T],
        columns: usize,
        mut sums: [[__m512; V]; T],
    ) -> [[__m512; V]; T] {
        for pair in 0..columns.div_ceil(2) {
            // SAFETY: the tile and the inputs have the pair, an odd last column being paired with
            // zeros; the processor has the instruction, as `HasBf16` proves.
            unsafe {
                let mut loaded = [_mm512_setzero_si512(); V];
                for v in 0..V {
                    loaded[v] = _mm512_loadu_si512(weights[v].add(pair * (2 * TILE)).cast());
                }
                for t in 0..T {
                    let input = _mm512_set1_epi32((*inputs[t].add(pair)).cast_signed());
                    for v in 0..V {
                        sums[t][v] = multiply(sums[t][v], loaded[v], input);
                    }
                }
            }
        }
        sums
    }
}

/// Adds the products of pairs of bfloat16 to f32 lanes.
///
/// # Safety
///
/// The processor has AVX-512 F and BF16.
#[inline(always)]
unsafe fn multiply(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: all of these are 64 bytes of which every pattern is a value; the caller promises the
    // instruction.
    unsafe {
        let a = transmute::<__m512i, __m512bh>(a);
        let b = transmute::<__m512i, __m512bh>(b);
        _mm512_dpbf16_ps(sum, a, b)
    }
}

/// The inputs in pairs of bfloat16, rounded to nearest, ties to even.
pub(super) fn round_inputs(
    team: &Team,
    proof: HasBf16,
    values: &[f32],
    tokens: usize,
    columns: usize,
) -> RoundedPairs {
    let mut rounded = RoundedPairs::zeros(tokens, columns);
    let (stride, pairs) = (rounded.stride(), columns.div_ceil(2));
    let out = Disjoint::new(rounded.values_mut());
    team.run(tokens.div_ceil(TASK_TOKENS), |task| {
        for token in task * TASK_TOKENS..tokens.min((task + 1) * TASK_TOKENS) {
            // SAFETY: tokens do not overlap, and each is rounded by one task.
            let out = unsafe { out.part(token * stride, pairs) };
            round_token(proof, &values[token * columns..(token + 1) * columns], out);
        }
    });
    rounded
}

fn round_token(_: HasBf16, values: &[f32], out: &mut [u32]) {
    const LANES: usize = 16;

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn inner(values: &[f32], out: &mut [u32]) {
        let (values, rest) = values.as_chunks::<LANES>();
        let (out, rest_out) = out.as_chunks_mut::<{ LANES / 2 }>();
        for (values, out) in values.iter().zip(out) {
            *out = round(values);
        }
        if !rest.is_empty() {
            let mut padded = [0.0; LANES];
            padded[..rest.len()].copy_from_slice(rest);
            rest_out.copy_from_slice(&round(&padded)[..rest_out.len()]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn round(values: &[f32; LANES]) -> [u32; LANES / 2] {
        // SAFETY: 16 f32; 16 bfloat16 take as much room as 8 u32, of which every pattern is a value.
        unsafe { transmute(_mm512_cvtneps_pbh(_mm512_loadu_ps(values.as_ptr()))) }
    }

    // SAFETY: the token exists only where the processor has these features.
    unsafe { inner(values, out) }
}
