//! Rotary position embedding (Su et al. 2021).
//!
//! Angles are computed for the tokens of a step, not kept in a table for the whole context: a step
//! needs few of them, and a context of 128,000 tokens would need 64 MB.

use candle_core::{Device, Result, Tensor};

use longtrainer_kernels::RotaryLayout;

use super::config::DecoderConfig;
use super::weights::Weights;

/// The frequencies of a model.
#[derive(Debug)]
pub(crate) struct Rotary {
    /// Radians a position, one a pair.
    frequencies: Vec<f64>,
    layout: RotaryLayout,
    device: Device,
}

/// Cosines and sines of the positions of a step, each (tokens, head_dim / 2).
#[derive(Debug)]
pub(super) struct Angles {
    cosines: Tensor,
    sines: Tensor,
    layout: RotaryLayout,
}

impl Rotary {
    /// Frequencies `base^(-2 i / head_dim)`, divided by the factors that a file may hold (Llama 3.1
    /// stretches the slow ones).
    pub(crate) fn load(config: &DecoderConfig, weights: &Weights<'_>) -> crate::Result<Self> {
        let pairs = config.head_dim / 2;
        let factors = if weights.has("rope_freqs.weight") {
            weights.vector("rope_freqs.weight", pairs)?
        } else {
            vec![1.0; pairs]
        };
        let base = f64::from(config.rotary_base);
        let frequencies = factors.iter().enumerate().map(|(pair, factor)| {
            let exponent = -2.0 * pair as f64 / config.head_dim as f64;
            base.powf(exponent) / f64::from(*factor) / f64::from(config.rotary_scale)
        });
        Ok(Self {
            frequencies: frequencies.collect(),
            layout: config.rotary_layout,
            device: weights.device().clone(),
        })
    }

    /// How rotary pairs lie.
    pub(crate) fn layout(&self) -> RotaryLayout {
        self.layout
    }

    /// Cosines and sines of the angles of `count` tokens from position `start` on, each
    /// (tokens, head_dim / 2).
    pub(crate) fn tables(&self, start: usize, count: usize) -> (Vec<f32>, Vec<f32>) {
        let positions = start..start + count;
        let angles = positions.flat_map(|position| {
            let turn = move |frequency: &f64| (position as f64 * frequency).sin_cos();
            self.frequencies.iter().map(turn)
        });
        angles
            .map(|(sine, cosine)| (cosine as f32, sine as f32))
            .unzip()
    }

    /// The same as tensors.
    pub(super) fn angles(&self, start: usize, count: usize) -> Result<Angles> {
        let shape = (count, self.frequencies.len());
        let (cosines, sines) = self.tables(start, count);
        Ok(Angles {
            cosines: Tensor::from_vec(cosines, shape, &self.device)?,
            sines: Tensor::from_vec(sines, shape, &self.device)?,
            layout: self.layout,
        })
    }
}

impl Angles {
    /// Rotates (heads, tokens, head_dim), contiguous.
    pub(super) fn rotate(&self, heads: &Tensor) -> Result<Tensor> {
        let batch = heads.unsqueeze(0)?;
        let rotated = match self.layout {
            RotaryLayout::Interleaved => {
                candle_nn::rotary_emb::rope_i(&batch, &self.cosines, &self.sines)
            }
            RotaryLayout::Halves => candle_nn::rotary_emb::rope(&batch, &self.cosines, &self.sines),
        };
        rotated?.squeeze(0)
    }
}
