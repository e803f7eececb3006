//! Causal self-attention in which several query heads share a key head (Ainslie et al. 2023).

use longtrainer_kernels::{
    CausalAttention, HeadRows, Rows, Team, causal_attention, rms_norm, rotate,
};

use crate::Result;
use crate::adapter::Site;
use crate::decoder::AngleTable;
use crate::error::ComputeError;
use crate::rows::try_rows;

use super::Loader;
use super::norm::RmsNorm;
use super::projection::Projection;
use super::scratch::Scratch;
use super::step::Step;

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
    score_scale: f32,
    window: Option<usize>,
    is_local: bool,
}

impl Attention {
    /// Reads the matrices of a block, their biases and the norms of heads.
    pub(super) fn load(
        loader: &Loader<'_>,
        block: usize,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Self> {
        let config = loader.config;
        let queries = config.heads * config.head_dim;
        let head_norm = |part: &str| {
            let load = || loader.norm(&name(part), config.head_dim);
            config.has_head_norms.then(load).transpose()
        };
        Ok(Self {
            query_key_value: loader.projection(&config.attention_parts(name), config.hidden)?,
            query_norm: head_norm("attn_q_norm.weight")?,
            key_norm: head_norm("attn_k_norm.weight")?,
            output: loader.projection(&[(name("attn_output"), config.hidden)], queries)?,
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            score_scale: config.score_scale,
            window: config.window_of(block),
            is_local: config.is_local(block),
        })
    }

    /// Memory of the matrices.
    pub(super) fn weight_bytes(&self) -> usize {
        self.query_key_value.bytes() + self.output.bytes()
    }

    /// From `normed` to `out`; the tokens' keys and values go into their caches.
    pub(super) fn forward(
        &self,
        team: &Team,
        step: &mut Step<'_>,
        block: usize,
        scratch: &mut Scratch,
    ) -> Result<(), ComputeError> {
        let Scratch {
            normed,
            joined,
            inner,
            out,
            rows,
            low_rank,
            ..
        } = scratch;
        self.query_key_value.forward(team, normed, rows, joined)?;
        let site = (block, Site::QueryKeyValue);
        step.adapt(team, site, normed, joined, low_rank)?;
        self.norm_heads(joined)?;
        self.rotate(team, step, joined)?;
        let [queries, keys, values] = self.split(joined)?;
        step.extend(block, keys, values)?;
        inner.resize(queries.count() * self.heads * self.head_dim, 0.0);
        let attention = CausalAttention {
            layer: block,
            heads: self.heads,
            scale: self.score_scale,
            window: self.window,
        };
        causal_attention(team, attention, queries, &step.sequences(), inner)?;
        self.output.forward(team, inner, rows, out)?;
        step.adapt(team, (block, Site::AttentionOutput), inner, out, low_rank)
    }

    /// Values of a token's queries, keys and values together.
    fn stride(&self) -> usize {
        self.query_key_value.outputs()
    }

    /// Norms each head's queries and keys, in models that do.
    fn norm_heads(&self, joined: &mut [f32]) -> Result<(), ComputeError> {
        let queries = self.heads * self.head_dim;
        let keys = self.kv_heads * self.head_dim;
        for (norm, start, width) in [
            (&self.query_norm, 0, queries),
            (&self.key_norm, queries, keys),
        ] {
            let Some(norm) = norm else { continue };
            let mut heads = Vec::with_capacity(width);
            for token in joined.chunks_exact_mut(self.stride()) {
                heads.clear();
                heads.extend_from_slice(&token[start..start + width]);
                rms_norm(
                    &heads,
                    &norm.scale,
                    norm.epsilon,
                    &mut token[start..start + width],
                )?;
            }
        }
        Ok(())
    }

    /// Turns queries and keys, which lie side by side, by their positions.
    fn rotate(&self, team: &Team, step: &Step<'_>, joined: &mut [f32]) -> Result<(), ComputeError> {
        let AngleTable {
            pairs,
            cosines,
            sines,
        } = step.angles(self.is_local);
        let rows = HeadRows {
            stride: self.stride(),
            offset: 0,
            heads: self.heads + self.kv_heads,
            head_dim: self.head_dim,
        };
        try_rows(team, joined, self.stride(), |first, run| {
            let angles = first * pairs..(first + run.len() / rows.stride) * pairs;
            let (cosines, sines) = (&cosines[angles.clone()], &sines[angles]);
            rotate(run, rows, cosines, sines, step.layout)
        })
    }

    /// Queries, keys and values of the tokens.
    fn split<'joined>(&self, joined: &'joined [f32]) -> Result<[Rows<'joined>; 3], ComputeError> {
        let queries = self.heads * self.head_dim;
        let keys = self.kv_heads * self.head_dim;
        let part = |offset, width| Rows::new(joined, self.stride(), offset, width);
        Ok([
            part(0, queries)?,
            part(queries, keys)?,
            part(queries + keys, keys)?,
        ])
    }
}
