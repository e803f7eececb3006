//! Attention within texts, in bfloat16 where the processor multiplies pairs of these.
//!
//! An encoder of a thousand tokens spends as much time on scores as on its maps. Where their inputs and
//! weights are bfloat16 anyway, so may queries, keys, values and weights be: sums and the softmax stay in
//! f32, and the instruction does twice the work. Processors without it compute in f32.

use crate::isa::Supported;
use crate::{Result, Team};

use super::segment::segment_attention_on;
#[cfg(target_arch = "x86_64")]
use super::segment_dot;

/// [`segment_attention`](super::segment_attention) with queries (times `scale`), keys, values and weights
/// rounded to bfloat16, to nearest, ties to even, where the processor has AVX-512 BF16; elsewhere the same
/// as that. A result is within 2^-7 of the greatest magnitude among the values looked at, if scores are
/// below ten or so; it depends neither on the number of threads nor on the other texts.
///
/// # Errors
///
/// As [`segment_attention`](super::segment_attention).
pub fn rounded_segment_attention(
    team: &Team,
    qkv: &[f32],
    heads: usize,
    head_dim: usize,
    lengths: &[usize],
    scale: f32,
    out: &mut [f32],
) -> Result<()> {
    let cpu = Supported::active();
    rounded_segment_attention_on(cpu, team, qkv, heads, head_dim, lengths, scale, out)
}

#[allow(clippy::too_many_arguments)]
pub(super) fn rounded_segment_attention_on(
    cpu: Supported,
    team: &Team,
    qkv: &[f32],
    heads: usize,
    head_dim: usize,
    lengths: &[usize],
    scale: f32,
    out: &mut [f32],
) -> Result<()> {
    #[cfg(target_arch = "x86_64")]
    if let Supported::Avx512(proof) = cpu
        && let Some(bf16) = proof.bf16()
    {
        return segment_dot::attend(bf16, team, qkv, heads, head_dim, lengths, scale, out);
    }
    segment_attention_on(cpu, team, qkv, heads, head_dim, lengths, scale, out)
}
