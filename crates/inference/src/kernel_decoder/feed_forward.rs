//! The gated feed-forward part of a block: SwiGLU (Shazeer 2020).

use longtrainer_kernels::{Team, silu_product};

use crate::Result;
use crate::error::ComputeError;
use crate::rows::try_rows;

use super::Loader;
use super::projection::Projection;
use super::scratch::Scratch;

/// The feed-forward part of a block.
#[derive(Debug)]
pub(super) struct FeedForward {
    gate_up: Projection,
    down: Projection,
    width: usize,
}

impl FeedForward {
    pub(super) fn load(loader: &Loader<'_>, name: &dyn Fn(&str) -> String) -> Result<Self> {
        let width = loader.config.feed_forward;
        let hidden = loader.config.hidden;
        let (gate, up) = (name("ffn_gate"), name("ffn_up"));
        Ok(Self {
            gate_up: loader.projection(&[(&gate, width), (&up, width)], hidden)?,
            down: loader.projection(&[(&name("ffn_down"), hidden)], width)?,
            width,
        })
    }

    /// Memory of the matrices.
    pub(super) fn weight_bytes(&self) -> usize {
        self.gate_up.bytes() + self.down.bytes()
    }

    /// From `normed` to `out`.
    pub(super) fn forward(&self, team: &Team, scratch: &mut Scratch) -> Result<(), ComputeError> {
        let Scratch {
            normed,
            joined,
            inner,
            out,
            rows,
            ..
        } = scratch;
        self.gate_up.forward(team, normed, rows, joined)?;
        let width = self.width;
        inner.resize(joined.len() / 2, 0.0);
        try_rows(team, inner, width, |first, inner| {
            let gate_up = &joined[2 * first * width..2 * (first * width + inner.len())];
            silu_product(gate_up, inner, width)
        })?;
        self.down.forward(team, inner, rows, out)
    }
}
