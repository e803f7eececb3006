//! Causal self-attention in which several query heads share a key head (Ainslie et al. 2023).
//!
//! The query heads of one key head are stacked into the rows of one matrix, so that keys and values
//! are never repeated in memory. Queries and keys are turned together, by tables that hold the scale of the scores.

use candle_core::Tensor;

use super::adapter::adapted_by;
use super::config::DecoderConfig;
use super::fused::Lookers;
use super::looks::Looks;
use super::norm::RmsNorm;
use super::projection::Projection;
use super::sight::Sight;
use super::step::{Group, Step, one_after_another};
use super::weights::Weights;
use crate::Result;
use crate::adapter::Site;

/// The attention of a block.
#[derive(Debug)]
pub(super) struct Attention {
    query_key_value: Projection,
    head_norms: Option<HeadNorms>,
    output: Projection,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    score_cap: Option<f64>,
    is_local: bool,
}

/// What queries and keys are normed by, head by head.
#[derive(Debug)]
struct HeadNorms {
    queries: RmsNorm,
    keys: RmsNorm,
}

impl HeadNorms {
    /// Reads them, if the model has any.
    fn load(
        config: &DecoderConfig,
        weights: &Weights<'_>,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Option<Self>> {
        if !config.has_head_norms {
            return Ok(None);
        }
        let norm = |part: &str| RmsNorm::load(config, weights, &name(part), config.head_dim);
        Ok(Some(Self {
            queries: norm("attn_q_norm.weight")?,
            keys: norm("attn_k_norm.weight")?,
        }))
    }
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
        Ok(Self {
            query_key_value: weights.projection(&config.attention_parts(name), config.hidden)?,
            head_norms: HeadNorms::load(config, weights, name)?,
            output: weights.projection(&[(name("attn_output"), config.hidden)], queries)?,
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
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
        let view = step.view(self.is_local);
        let cached = step.cached(block)?;
        let heads = self.by_head(joined)?;
        let turned = self.normed(&heads)?;
        let turned = step.fused().turned(&turned, &view.angles, cached.dtype())?;
        let queries = turned.narrow(0, 0, self.heads)?;
        let keys = turned.narrow(0, self.heads, self.kv_heads)?;
        let values = heads.narrow(0, self.heads + self.kv_heads, self.kv_heads)?;
        step.store(block, &keys, &values.to_dtype(cached.dtype())?)?;
        let groups = step.groups().iter().zip(&view.sights);
        let mixed = groups.map(|(group, sight)| match sight {
            Sight::Paged { table, window } => {
                let lookers = Lookers {
                    first_row: group.start,
                    window: *window,
                    cap: self.score_cap,
                };
                step.fused().attended(&queries, cached, table, lookers)
            }
            Sight::Shown(shown) => {
                let (keys, values) = shown.of(cached)?;
                let looks = Looks {
                    queries: self.queries_of(&queries, group)?,
                    keys,
                    values,
                    seen: &shown.seen,
                    score_cap: self.score_cap,
                    fused: step.fused(),
                };
                looks.weigh()
            }
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

    /// Queries, keys and values: (heads + 2 * kv_heads, tokens, head_dim). A single token's lie like that already.
    fn by_head(&self, joined: &Tensor) -> candle_core::Result<Tensor> {
        let heads = self.heads + 2 * self.kv_heads;
        let split = joined.reshape((joined.dim(0)?, heads, self.head_dim))?;
        split.transpose(0, 1)?.contiguous()
    }

    /// The queries and keys of all heads, normed in models that do that: (heads + kv_heads, tokens, head_dim).
    fn normed(&self, heads: &Tensor) -> candle_core::Result<Tensor> {
        let Some(norms) = &self.head_norms else {
            return heads.narrow(0, 0, self.heads + self.kv_heads);
        };
        let queries = heads.narrow(0, 0, self.heads)?;
        let keys = heads.narrow(0, self.heads, self.kv_heads)?;
        Tensor::cat(
            &[norms.queries.forward(&queries)?, norms.keys.forward(&keys)?],
            0,
        )
    }
}
