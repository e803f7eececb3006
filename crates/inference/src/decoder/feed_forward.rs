//! The gated feed-forward part: `down(silu(gate(x)) * up(x))` (Shazeer 2020).

use candle_core::Tensor;

use super::config::DecoderConfig;
use super::projection::Projection;
use super::weights::Weights;
use crate::Result;

/// The feed-forward part of a block.
#[derive(Debug)]
pub(super) struct FeedForward {
    gate_up: Projection,
    down: Projection,
    width: usize,
}

impl FeedForward {
    /// Reads the three matrices.
    pub(super) fn load(
        config: &DecoderConfig,
        weights: &Weights<'_>,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Self> {
        let width = config.feed_forward;
        let (gate, up) = (name("ffn_gate"), name("ffn_up"));
        Ok(Self {
            gate_up: weights.projection(&[(&gate, width), (&up, width)], config.hidden)?,
            down: weights.projection(&[(&name("ffn_down"), config.hidden)], width)?,
            width,
        })
    }

    /// Memory of the matrices.
    pub(super) fn weight_bytes(&self) -> usize {
        self.gate_up.weight_bytes() + self.down.weight_bytes()
    }

    /// (tokens, hidden) -> (tokens, hidden)
    pub(super) fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let both = self.gate_up.forward(input)?; // (tokens, 2 * width)
        let gate = both.narrow(1, 0, self.width)?.contiguous()?;
        let up = both.narrow(1, self.width, self.width)?.contiguous()?;
        self.down.forward(&(gate.silu()? * up)?)
    }
}
