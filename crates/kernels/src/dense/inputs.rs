//! The inputs of a product, prepared once for all of its matrices and tasks.
//!
//! Most products read the caller's f32 as they lie. Only the processor's bfloat16 instruction wants
//! both factors in bfloat16: for it the inputs are rounded here, before the region in which every
//! task reads them. A few tokens go another way, which reads f32; they are rounded all the same, so
//! that a token's result does not depend on how many others there are.

use super::DenseFormat;
use super::few::FEW;
use crate::Result;
use crate::isa::Supported;
use crate::shape::require_length;
use crate::team::Team;

/// Inputs, token after token.
#[derive(Debug)]
pub(crate) struct DenseInputs<'inputs> {
    values: &'inputs [f32],
    tokens: usize,
    columns: usize,
    /// In bfloat16, pairs of columns in a u32, the even column in its lower half; an odd last one is
    /// paired with zero.
    pairs: Option<Vec<u32>>,
    /// The same widened again, where there are few tokens.
    rounded: Option<Vec<f32>>,
}

impl<'inputs> DenseInputs<'inputs> {
    /// Prepares the inputs for matrices of these formats, each of which has `columns` columns.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Length`] if `values` has another length than tokens and columns call for.
    pub(crate) fn new(
        team: &Team,
        cpu: Supported,
        formats: &[DenseFormat],
        values: &'inputs [f32],
        tokens: usize,
        columns: usize,
    ) -> Result<Self> {
        require_length("inputs", tokens.saturating_mul(columns), values.len())?;
        let round = formats.contains(&DenseFormat::Bf16);
        let pairs = round.then(|| pairs(team, cpu, values, columns)).flatten();
        let (pairs, rounded) = match pairs {
            Some(pairs) if tokens <= FEW => (None, Some(widened(&pairs, columns))),
            pairs => (pairs, None),
        };
        Ok(Self {
            values,
            tokens,
            columns,
            pairs,
            rounded,
        })
    }

    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn token(&self, token: usize) -> &[f32] {
        &self.values[token * self.columns..(token + 1) * self.columns]
    }

    /// The inputs of one of few tokens, as precise as a matrix of the format sees those of many.
    pub(super) fn token_for(&self, format: DenseFormat, token: usize) -> &[f32] {
        let values = match (&self.rounded, format) {
            (Some(rounded), DenseFormat::Bf16) => rounded,
            _ => self.values,
        };
        &values[token * self.columns..(token + 1) * self.columns]
    }

    /// The pairs of a token, if the inputs have been rounded.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn pairs(&self, token: usize) -> Option<&[u32]> {
        let per_token = self.columns.div_ceil(2);
        let pairs = self.pairs.as_deref()?;
        Some(&pairs[token * per_token..(token + 1) * per_token])
    }

    /// Whether the inputs have been rounded to bfloat16.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Nobody else has the instruction.
    pub(super) fn are_rounded(&self) -> bool {
        self.pairs.is_some()
    }
}

/// Pairs of bfloat16 as f32; the zero that an odd last column is paired with is left out.
fn widened(pairs: &[u32], columns: usize) -> Vec<f32> {
    let both = |pair: &u32| [pair << 16, pair & 0xffff_0000].map(f32::from_bits);
    let tokens = pairs.chunks_exact(columns.div_ceil(2).max(1));
    tokens
        .flat_map(|token| token.iter().flat_map(both).take(columns))
        .collect()
}

/// The inputs in bfloat16, if the processor has a use for them.
#[cfg(target_arch = "x86_64")]
fn pairs(team: &Team, cpu: Supported, values: &[f32], columns: usize) -> Option<Vec<u32>> {
    use super::dot;

    let proof = match cpu {
        Supported::Avx512(proof) => proof.bf16()?,
        _ => return None,
    };
    Some(dot::round_inputs(team, proof, values, columns))
}

#[cfg(not(target_arch = "x86_64"))]
fn pairs(_: &Team, _: Supported, _: &[f32], _: usize) -> Option<Vec<u32>> {
    None
}
