//! Layer norm.

use candle_core::{Result, Tensor};

use super::bytes;

/// Layer norm over the last dimension, one launch on a card.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    scale: Tensor,
    shift: Tensor,
    epsilon: f32,
}

impl LayerNorm {
    pub(super) fn new(scale: Tensor, shift: Tensor, epsilon: f32) -> Self {
        Self {
            scale,
            shift,
            epsilon,
        }
    }

    /// Memory of the weights.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.scale) + bytes(&self.shift)
    }

    /// Statistics are summed in f32.
    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm(input, &self.scale, &self.shift, self.epsilon)
    }
}
