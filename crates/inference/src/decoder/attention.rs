//! Causal self-attention in which several query heads share a key head (Ainslie et al. 2023).
//!
//! The query heads of one key head are stacked into the rows of one matrix, so that keys and values
//! are never repeated in memory.

use candle_core::Tensor;

use super::adapter::adapted_by;
use super::config::DecoderConfig;
use super::looks::Looks;
use super::norm::{RmsNorm, normed_by};
use super::projection::Projection;
use super::step::{Group, Step, one_after_another};
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
        step: &Step<'_>,
        block: usize,
    ) -> candle_core::Result<Tensor> {
        let joined = self.query_key_value.forward(input)?; // (tokens, queries + keys + values)
        let joined = adapted_by(step.parts(), block, Site::QueryKeyValue, input, joined)?;
        let mixed = self.mix(&joined, step, block)?.to_dtype(joined.dtype())?;
        let output = self.output.forward(&mixed)?;
        adapted_by(step.parts(), block, Site::AttentionOutput, &mixed, output)
    }

    /// What the tokens look at, weighed: (tokens, queries).
    fn mix(&self, joined: &Tensor, step: &Step<'_>, block: usize) -> candle_core::Result<Tensor> {
        let (queries, keys, values) = self.split(joined)?;
        let view = step.view(self.is_local);
        let queries = view.angles.rotate(&normed_by(&self.query_norm, queries)?)?;
        let keys = view.angles.rotate(&normed_by(&self.key_norm, keys)?)?;
        step.store(block, &keys, &values)?;
        let cached = step.cached(block)?;
        let queries = (queries * self.score_scale)?.to_dtype(cached.dtype())?;
        let groups = step.groups().iter().zip(&view.sights);
        let mixed = groups.map(|(group, sight)| {
            let (keys, values) = sight.of(cached)?;
            let looks = Looks {
                queries: self.queries_of(&queries, group)?,
                keys,
                values,
                mask: sight.mask.as_ref(),
                score_cap: self.score_cap,
            };
            looks.weigh()
        });
        one_after_another(mixed.collect::<candle_core::Result<Vec<_>>>()?)
    }

    /// The queries of a group: (kv_heads, parts, heads of a key head, tokens, head_dim).
    fn queries_of(&self, queries: &Tensor, group: &Group) -> candle_core::Result<Tensor> {
        let own = queries.narrow(1, group.start, group.rows())?.contiguous()?;
        let shape = [
            self.kv_heads,
            self.heads / self.kv_heads,
            group.parts,
            group.count,
            self.head_dim,
        ];
        own.reshape(shape.as_slice())?.transpose(1, 2)?.contiguous()
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
}
