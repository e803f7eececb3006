//! The vision half over Candle's operators, on any device that Candle has.

use candle_core::{D, Device, Tensor};
use candle_nn::ops::{layer_norm, softmax_last_dim};

use super::checkpoint::names::{CONNECTOR, LAST_NORM, PATCH, POSITIONS, of_block};
use super::{VisionCheckpoint, VisionConfig, VisionTower, check_frame, frame};
use crate::Result;
use crate::device::explained;
use crate::error::ComputeError;

/// The vision half as tensors of f32.
#[derive(Debug)]
pub(super) struct CandleTower {
    config: VisionConfig,
    device: Device,
    patch: Linear,
    /// (patches, hidden)
    positions: Tensor,
    blocks: Vec<Block>,
    last_norm: Norm,
    /// (scale * scale * hidden, text width), a transposed view.
    connector: Tensor,
}

#[derive(Debug)]
struct Block {
    norm1: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm2: Norm,
    up: Linear,
    down: Linear,
}

#[derive(Debug)]
struct Linear {
    /// (inputs, outputs), a transposed view.
    matrix: Tensor,
    bias: Tensor,
}

#[derive(Debug)]
struct Norm {
    scale: Tensor,
    shift: Tensor,
    epsilon: f32,
}

/// Reads tensors onto a device.
struct Loader<'a> {
    checkpoint: &'a VisionCheckpoint,
    device: &'a Device,
}

impl CandleTower {
    pub(super) fn load(checkpoint: &VisionCheckpoint, device: &Device) -> Result<Self> {
        let loader = Loader { checkpoint, device };
        let config = checkpoint.config().clone();
        let blocks = (0..config.blocks).map(|block| loader.block(block));
        Ok(Self {
            patch: loader.patch()?,
            positions: loader.tensor(POSITIONS, &[config.patches(), config.hidden])?,
            blocks: blocks.collect::<Result<_>>()?,
            last_norm: loader.norm(LAST_NORM)?,
            connector: loader.matrix(CONNECTOR, config.shuffled(), config.text_width)?,
            device: device.clone(),
            config,
        })
    }

    /// (3, size, size) -> (patches, hidden), after the last norm.
    fn see(&self, frame: &[f32]) -> candle_core::Result<Tensor> {
        let mut patches = Vec::new();
        frame::patches(&self.config, frame, &mut patches);
        let shape = (self.config.patches(), self.config.patch_values());
        let patches = Tensor::from_vec(patches, shape, &self.device)?;
        let mut states = (self.patch.forward(&patches)? + &self.positions)?;
        for block in &self.blocks {
            states = block.forward(&states, self.config.heads)?;
        }
        self.last_norm.forward(&states)
    }

    /// States of patches as tokens of the text model.
    fn connect(&self, states: &Tensor) -> candle_core::Result<Tensor> {
        let (scale, hidden) = (self.config.scale_factor, self.config.hidden);
        let side = self.config.side() / scale;
        let squares = states.reshape((side, scale, side, scale * hidden))?;
        let squares = squares.transpose(1, 2)?.contiguous()?;
        let joined = squares.reshape((self.config.tokens(), self.config.shuffled()))?;
        joined.matmul(&self.connector)
    }

    /// The values of what `compute` makes of a frame.
    fn values(
        &self,
        frame: &[f32],
        compute: impl FnOnce() -> candle_core::Result<Tensor>,
    ) -> Result<Vec<f32>, ComputeError> {
        check_frame(&self.config, frame)?;
        let values = compute().and_then(|computed| computed.flatten_all()?.to_vec1());
        values.map_err(|error| explained(error, &self.device))
    }
}

impl VisionTower for CandleTower {
    fn config(&self) -> &VisionConfig {
        &self.config
    }

    fn encode(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError> {
        self.values(frame, || self.connect(&self.see(frame)?))
    }

    fn states(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError> {
        self.values(frame, || self.see(frame))
    }

    fn memory_bytes(&self) -> usize {
        let config = &self.config;
        let hidden = config.hidden;
        let block =
            4 * hidden * (hidden + 1) + 2 * hidden * config.inner + config.inner + 5 * hidden;
        let ends = hidden * (config.patch_values() + 1 + config.patches() + 2);
        let values = config.blocks * block + ends + config.shuffled() * config.text_width;
        values * size_of::<f32>()
    }
}

impl Block {
    /// (patches, hidden) -> (patches, hidden)
    fn forward(&self, states: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
        let attended = self.attend(&self.norm1.forward(states)?, heads)?;
        let states = (states + attended)?;
        let inner = self.up.forward(&self.norm2.forward(&states)?)?.gelu()?;
        states + self.down.forward(&inner)?
    }

    fn attend(&self, states: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
        let (patches, hidden) = states.dims2()?;
        let dim = hidden / heads;
        // (patches, hidden) -> (heads, patches, dim)
        let split = |map: &Linear| -> candle_core::Result<Tensor> {
            let rows = map.forward(states)?.reshape((patches, heads, dim))?;
            rows.transpose(0, 1)?.contiguous()
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let scale = 1.0 / (dim as f64).sqrt();
        let scores = (query.matmul(&key.t()?)? * scale)?; // (heads, patches, patches)
        let mixed = softmax_last_dim(&scores)?.matmul(&value)?; // (heads, patches, dim)
        let mixed = mixed.transpose(0, 1)?.contiguous()?;
        self.out.forward(&mixed.reshape((patches, hidden))?)
    }
}

impl Linear {
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        rows.matmul(&self.matrix)?.broadcast_add(&self.bias)
    }
}

impl Norm {
    fn forward(&self, states: &Tensor) -> candle_core::Result<Tensor> {
        layer_norm(states, &self.scale, &self.shift, self.epsilon)
    }
}

impl Loader<'_> {
    fn tensor(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        let values = self.checkpoint.values(name, dims)?;
        let tensor = Tensor::from_vec(values, dims, self.device);
        tensor.map_err(|error| self.checkpoint.bad(name, error.to_string()))
    }

    /// (outputs, inputs) as a view of (inputs, outputs).
    fn matrix(&self, name: &str, inputs: usize, outputs: usize) -> Result<Tensor> {
        let matrix = self.tensor(name, &[outputs, inputs])?;
        let turned = matrix.transpose(D::Minus2, D::Minus1);
        turned.map_err(|error| self.checkpoint.bad(name, error.to_string()))
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        Ok(Linear {
            matrix: self.matrix(&format!("{name}.weight"), inputs, outputs)?,
            bias: self.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// The convolution of patches as a map: its windows do not overlap.
    fn patch(&self) -> Result<Linear> {
        let config = self.checkpoint.config();
        let (hidden, patch) = (config.hidden, config.patch_size);
        let name = format!("{PATCH}.weight");
        let matrix = self.tensor(&name, &[hidden, 3, patch, patch])?;
        let turned = matrix.flatten_from(1).and_then(|matrix| matrix.t());
        Ok(Linear {
            matrix: turned.map_err(|error| self.checkpoint.bad(&name, error.to_string()))?,
            bias: self.tensor(&format!("{PATCH}.bias"), &[hidden])?,
        })
    }

    fn norm(&self, name: &str) -> Result<Norm> {
        let config = self.checkpoint.config();
        Ok(Norm {
            scale: self.tensor(&format!("{name}.weight"), &[config.hidden])?,
            shift: self.tensor(&format!("{name}.bias"), &[config.hidden])?,
            epsilon: config.epsilon,
        })
    }

    fn block(&self, block: usize) -> Result<Block> {
        let VisionConfig { hidden, inner, .. } = *self.checkpoint.config();
        let name = |part| of_block(block, part);
        Ok(Block {
            norm1: self.norm(&name("layer_norm1"))?,
            query: self.linear(&name("self_attn.q_proj"), hidden, hidden)?,
            key: self.linear(&name("self_attn.k_proj"), hidden, hidden)?,
            value: self.linear(&name("self_attn.v_proj"), hidden, hidden)?,
            out: self.linear(&name("self_attn.out_proj"), hidden, hidden)?,
            norm2: self.norm(&name("layer_norm2"))?,
            up: self.linear(&name("mlp.fc1"), hidden, inner)?,
            down: self.linear(&name("mlp.fc2"), inner, hidden)?,
        })
    }
}
