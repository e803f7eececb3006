//! The gated feed-forward part of a block: SwiGLU or GeGLU (Shazeer 2020).

use longtrainer_kernels::{Team, gelu_tanh_product, silu_product};

use crate::Result;
use crate::adapter::Site;
use crate::decoder::Activation;
use crate::error::ComputeError;
use crate::rows::try_rows;

use super::Loader;
use super::projection::Projection;
use super::scratch::Scratch;
use super::step::Step;

/// The feed-forward part of a block.
#[derive(Debug)]
pub(super) struct FeedForward {
    gate_up: Projection,
    down: Projection,
    width: usize,
    activation: Activation,
}

impl FeedForward {
    pub(super) fn load(loader: &Loader<'_>, name: &dyn Fn(&str) -> String) -> Result<Self> {
        let width = loader.config.feed_forward;
        let hidden = loader.config.hidden;
        let gate_up = loader.config.feed_forward_parts(name);
        Ok(Self {
            gate_up: loader.projection(&gate_up, hidden)?,
            down: loader.projection(&[(name("ffn_down"), hidden)], width)?,
            width,
            activation: loader.config.activation,
        })
    }

    /// Memory of the matrices.
    pub(super) fn weight_bytes(&self) -> usize {
        self.gate_up.bytes() + self.down.bytes()
    }

    /// From `normed` to `out`.
    pub(super) fn forward(
        &self,
        team: &Team,
        step: &Step<'_>,
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
        self.gate_up.forward(team, normed, rows, joined)?;
        step.adapt(team, (block, Site::GateUp), normed, joined, low_rank)?;
        let width = self.width;
        inner.resize(joined.len() / 2, 0.0);
        try_rows(team, inner, width, |first, inner| {
            let gate_up = &joined[2 * first * width..2 * (first * width + inner.len())];
            match self.activation {
                Activation::Silu => silu_product(gate_up, inner, width),
                Activation::GeluTanh => gelu_tanh_product(gate_up, inner, width),
            }
        })?;
        self.down.forward(team, inner, rows, out)?;
        step.adapt(team, (block, Site::Down), inner, out, low_rank)
    }
}
