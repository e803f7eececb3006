//! Causal self-attention in which several query heads share a key head (Ainslie et al. 2023).
//!
//! The query heads of one key head are stacked into the rows of one matrix, so that keys and values
//! are never repeated in memory.

use candle_core::{DType, Tensor};

use super::adapter::adapted_by;
use super::config::DecoderConfig;
use super::norm::{RmsNorm, normed_by};
use super::parts::{StepPart, one_after_another};
use super::projection::Projection;
use super::weights::Weights;
use crate::Result;
use crate::adapter::Site;

/// The attention of a block.
#[derive(Debug)]
pub(super) struct Attention {
    query_key_value: Projection,
    query_norm: Option<RmsNorm>,
    key_norm: Option<RmsNorm>,
    output: Projection,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    score_scale: f64,
    score_cap: Option<f64>,
    is_local: bool,
}

impl Attention {
    /// Reads the matrices of a block, their biases and the norms of heads.
    pub(super) fn load(
        config: &DecoderConfig,
        weights: &Weights<'_>,
        block: usize,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Self> {
        let queries = config.heads * config.head_dim;
        let head_norm = |part: &str| {
            let load = || RmsNorm::load(config, weights, &name(part), config.head_dim);
            config.has_head_norms.then(load).transpose()
        };
        Ok(Self {
            query_key_value: weights.projection(&config.attention_parts(name), config.hidden)?,
            query_norm: head_norm("attn_q_norm.weight")?,
            key_norm: head_norm("attn_k_norm.weight")?,
            output: weights.projection(&[(name("attn_output"), config.hidden)], queries)?,
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            score_scale: config.score_scale.into(),
            score_cap: config.score_cap.map(f64::from),
            is_local: config.is_local(block),
        })
    }

    /// Memory of the matrices.
    pub(super) fn weight_bytes(&self) -> usize {
        self.query_key_value.weight_bytes() + self.output.weight_bytes()
    }

    /// (tokens, hidden) -> (tokens, hidden), the tokens of all parts one after another.
    pub(super) fn forward(
        &self,
        input: &Tensor,
        parts: &[StepPart<'_>],
        block: usize,
    ) -> candle_core::Result<Tensor> {
        let joined = self.query_key_value.forward(input)?; // (tokens, queries + keys + values)
        let joined = adapted_by(parts, block, Site::QueryKeyValue, input, joined)?;
        let mixed = parts.iter().map(|part| self.mix(&joined, part, block));
        let mixed = one_after_another(mixed.collect::<candle_core::Result<Vec<_>>>()?)?;
        let output = self.output.forward(&mixed)?;
        adapted_by(parts, block, Site::AttentionOutput, &mixed, output)
    }

    /// What the tokens of a part look at, weighed: (tokens, queries).
    fn mix(
        &self,
        joined: &Tensor,
        part: &StepPart<'_>,
        block: usize,
    ) -> candle_core::Result<Tensor> {
        let (queries, keys, values) = self.split(&part.rows_of(joined)?)?;
        let sight = part.step.sight(self.is_local);
        let queries = sight
            .angles
            .rotate(&normed_by(&self.query_norm, queries)?)?;
        let keys = sight.angles.rotate(&normed_by(&self.key_norm, keys)?)?;
        let (keys, values) = part.step.extend(block, sight, &keys, &values)?;
        let mixed = self.attend(&queries, &keys, &values, sight.mask.as_ref())?;
        mixed.to_dtype(joined.dtype())
    }

    /// Queries (heads, tokens, head_dim), keys and values (kv_heads, tokens, head_dim).
    fn split(&self, joined: &Tensor) -> candle_core::Result<(Tensor, Tensor, Tensor)> {
        let queries = self.heads * self.head_dim;
        let keys = self.kv_heads * self.head_dim;
        let part = |start: usize, heads: usize| {
            let part = joined.narrow(1, start, heads * self.head_dim)?;
            let tokens = part.dim(0)?;
            let split = part.contiguous()?.reshape((tokens, heads, self.head_dim))?;
            split.transpose(0, 1)?.contiguous()
        };
        Ok((
            part(0, self.heads)?,
            part(queries, self.kv_heads)?,
            part(queries + keys, self.kv_heads)?,
        ))
    }

    /// Products in the type of the cache; scores are weighed in f32.
    fn attend(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        mask: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        let tokens = queries.dim(1)?;
        let length = keys.dim(1)?;
        let group = self.heads / self.kv_heads;
        // (kv_heads, group * tokens, head_dim)
        let queries = (queries * self.score_scale)?.reshape((
            self.kv_heads,
            group * tokens,
            self.head_dim,
        ))?;
        let queries = queries.to_dtype(keys.dtype())?;
        // (kv_heads, group * tokens, length)
        let mut scores = queries.matmul(&keys.t()?)?.to_dtype(DType::F32)?;
        if let Some(cap) = self.score_cap {
            scores = ((scores / cap)?.tanh()? * cap)?;
        }
        if let Some(mask) = mask {
            scores = scores
                .reshape((self.heads, tokens, length))?
                .broadcast_add(mask)?;
            scores = scores.reshape((self.kv_heads, group * tokens, length))?;
        }
        let shares = candle_nn::ops::softmax_last_dim(&scores)?;
        let shares = shares.to_dtype(values.dtype())?;
        let mixed = shares.matmul(values)?; // (kv_heads, group * tokens, head_dim)
        let mixed = mixed.reshape((self.heads, tokens, self.head_dim))?;
        mixed
            .transpose(0, 1)?
            .contiguous()?
            .reshape((tokens, self.heads * self.head_dim))
    }
}
