//! The gated feed-forward part: `down(activation(gate(x)) * up(x))` (Shazeer 2020).

use candle_core::Tensor;

use super::adapter::adapted_by;
use super::architecture::Activation;
use super::config::DecoderConfig;
use super::projection::Projection;
use super::step::Step;
use super::weights::Weights;
use crate::Result;
use crate::adapter::Site;

/// The feed-forward part of a block.
#[derive(Debug)]
pub(super) struct FeedForward {
    gate_up: Projection,
    down: Projection,
    activation: Activation,
}

impl FeedForward {
    /// Reads the matrices.
    pub(super) fn load(
        config: &DecoderConfig,
        weights: &Weights<'_>,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Self> {
        let width = config.feed_forward;
        Ok(Self {
            gate_up: weights.projection(&config.feed_forward_parts(name), config.hidden)?,
            down: weights.projection(&[(name("ffn_down"), config.hidden)], width)?,
            activation: config.activation,
        })
    }

    /// Memory of the matrices.
    pub(super) fn weight_bytes(&self) -> usize {
        self.gate_up.weight_bytes() + self.down.weight_bytes()
    }

    /// (tokens, hidden) -> (tokens, hidden)
    pub(super) fn forward(
        &self,
        input: &Tensor,
        step: &Step<'_>,
        block: usize,
    ) -> candle_core::Result<Tensor> {
        let both = self.gate_up.forward(input)?; // (tokens, 2 * width)
        let both = adapted_by(step.parts(), block, Site::GateUp, input, both)?;
        let inner = step.fused().gated(&both, self.activation)?;
        let output = self.down.forward(&inner)?;
        adapted_by(step.parts(), block, Site::Down, &inner, output)
    }
}
