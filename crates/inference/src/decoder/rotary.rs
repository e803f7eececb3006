//! Rotary position embedding (Su et al. 2021).
//!
//! Angles are computed for the tokens of a step, not kept in a table for the whole context: a step
//! needs few of them, and a context of 128,000 tokens would need 64 MB.

use candle_core::{Device, Result, Tensor};

use super::config::{DecoderConfig, RotaryLayout};
use super::weights::Weights;

/// The frequencies of a model.
#[derive(Debug)]
pub(super) struct Rotary {
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
    pub(super) fn load(config: &DecoderConfig, weights: &Weights<'_>) -> crate::Result<Self> {
        let pairs = config.head_dim / 2;
        let factors = if weights.has("rope_freqs.weight") {
            let factors = weights.dense("rope_freqs.weight", &[pairs])?;
            factors.to_vec1().unwrap_or_else(|_| vec![1.0; pairs])
        } else {
            vec![1f32; pairs]
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

    /// The angles of `count` tokens from position `start` on.
    pub(super) fn angles(&self, start: usize, count: usize) -> Result<Angles> {
        let positions = start..start + count;
        let angles = positions.flat_map(|position| {
            let turn = move |frequency: &f64| position as f64 * frequency;
            self.frequencies.iter().map(turn)
        });
        let angles: Vec<f64> = angles.collect();
        let shape = (count, self.frequencies.len());
        let tensor = |function: fn(f64) -> f64| {
            let values = angles.iter().map(|angle| function(*angle) as f32);
            Tensor::from_vec(values.collect::<Vec<f32>>(), shape, &self.device)
        };
        Ok(Angles {
            cosines: tensor(f64::cos)?,
            sines: tensor(f64::sin)?,
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
