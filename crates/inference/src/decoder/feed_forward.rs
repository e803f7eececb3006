//! The gated feed-forward part: `down(activation(gate(x)) * up(x))` (Shazeer 2020).

use candle_core::Tensor;

use super::adapter::adapted_by;
use super::architecture::Activation;
use super::config::DecoderConfig;
use super::projection::Projection;
use super::step::StepPart;
use super::weights::Weights;
use crate::Result;
use crate::adapter::Site;

/// The feed-forward part of a block.
#[derive(Debug)]
pub(super) struct FeedForward {
    gate_up: Projection,
    down: Projection,
    width: usize,
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
            width,
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
        parts: &[StepPart<'_>],
        block: usize,
    ) -> candle_core::Result<Tensor> {
        let both = self.gate_up.forward(input)?; // (tokens, 2 * width)
        let both = adapted_by(parts, block, Site::GateUp, input, both)?;
        let gate = both.narrow(1, 0, self.width)?;
        let up = both.narrow(1, self.width, self.width)?;
        let gate = match self.activation {
            Activation::Silu => gate.silu()?,
            Activation::GeluTanh => gate.gelu()?,
        };
        let inner = (gate * up)?;
        let output = self.down.forward(&inner)?;
        adapted_by(parts, block, Site::Down, &inner, output)
    }
}
