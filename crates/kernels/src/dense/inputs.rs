//! The inputs of a product, prepared once for all of its matrices and tasks.
//!
//! Most products read the caller's f32 as they lie. Only the processor's bfloat16 instruction wants
//! both factors in bfloat16: for it the inputs are rounded here, before the region in which every
//! task reads them; few of them too, so that a token's result does not depend on how many others
//! there are.

use super::DenseFormat;
use super::pairs::RoundedPairs;
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
    /// In bfloat16, for products that want them so.
    pairs: Option<RoundedPairs>,
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
        Ok(Self {
            values,
            tokens,
            columns,
            pairs: round
                .then(|| pairs(team, cpu, values, tokens, columns))
                .flatten(),
        })
    }

    /// The inputs rounded by plain Rust, for tests of what a processor cannot round for itself.
    #[cfg(test)]
    pub(super) fn rounded(values: &'inputs [f32], tokens: usize, columns: usize) -> Self {
        let mut pairs = RoundedPairs::zeros(tokens, columns);
        for (token, values) in values.chunks_exact(columns.max(1)).enumerate() {
            let bits = |value: &f32| u32::from(half::bf16::from_f32(*value).to_bits());
            for (pair, values) in values.chunks(2).enumerate() {
                let odd = values.get(1).map_or(0, bits);
                let at = token * pairs.stride() + pair;
                pairs.values_mut()[at] = bits(&values[0]) | odd << 16;
            }
        }
        Self {
            values,
            tokens,
            columns,
            pairs: Some(pairs),
        }
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

    /// The inputs in bfloat16, if they have been rounded.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Nobody else has the instructions.
    pub(super) fn pairs(&self) -> Option<&RoundedPairs> {
        self.pairs.as_ref()
    }

    /// Whether the inputs have been rounded to bfloat16.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Nobody else has the instruction.
    pub(super) fn are_rounded(&self) -> bool {
        self.pairs.is_some()
    }
}

/// The inputs in bfloat16, if the processor has a use for them.
#[cfg(target_arch = "x86_64")]
fn pairs(
    team: &Team,
    cpu: Supported,
    values: &[f32],
    tokens: usize,
    columns: usize,
) -> Option<RoundedPairs> {
    use super::dot;

    let proof = match cpu {
        Supported::Avx512(proof) => proof.bf16()?,
        _ => return None,
    };
    Some(dot::round_inputs(team, proof, values, tokens, columns))
}

#[cfg(not(target_arch = "x86_64"))]
fn pairs(_: &Team, _: Supported, _: &[f32], _: usize, _: usize) -> Option<RoundedPairs> {
    None
}
