//! Root mean square norm (Zhang and Sennrich 2019).

use candle_core::Tensor;

use super::config::DecoderConfig;
use super::weights::Weights;
use crate::Result;

/// Divides by the root of the mean square, then scales each component.
#[derive(Debug)]
pub(super) struct RmsNorm {
    pub(super) scale: Tensor,
    pub(super) epsilon: f32,
}

impl RmsNorm {
    /// Reads the scale of a norm over `width` components.
    pub(super) fn load(
        config: &DecoderConfig,
        weights: &Weights<'_>,
        name: &str,
        width: usize,
    ) -> Result<Self> {
        Ok(Self {
            scale: weights.dense(name, &[width])?,
            epsilon: config.norm_epsilon,
        })
    }

    /// Norms the last dimension.
    pub(super) fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        candle_nn::ops::rms_norm(&input.contiguous()?, &self.scale, self.epsilon)
    }
}

/// A norm, in models that have it.
pub(super) fn normed_by(norm: &Option<RmsNorm>, input: Tensor) -> candle_core::Result<Tensor> {
    match norm {
        Some(norm) => norm.forward(&input),
        None => Ok(input),
    }
}
