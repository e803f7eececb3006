//! The vision half over Candle's operators, on any device that Candle has.

use candle_core::{DType, Device, Tensor};

use super::checkpoint::names::{CONNECTOR, LAST_NORM, PATCH, POSITIONS, of_block};
use super::{VisionCheckpoint, VisionConfig, VisionTower, check_frame, frame};
use crate::device::explained;
use crate::embedder::CardPrecision;
use crate::error::ComputeError;
use crate::tensor_blocks::{
    Activation, Attention, FeedForward, LayerNorm, Loader, Marked, WeightSource, bytes, marks,
};
use crate::{Error, Result};

/// Frames that go through the tower together: those of a picture cut in four by four, and no more memory than a
/// batch of texts takes.
const FRAMES: usize = 16;

/// The vision half as tensors.
#[derive(Debug)]
pub(super) struct CandleTower {
    config: VisionConfig,
    device: Device,
    precision: CardPrecision,
    /// (patch's values, hidden), a transposed view.
    patch: Tensor,
    /// (patches, hidden), with the bias of the map of patches.
    positions: Tensor,
    blocks: Vec<Block>,
    last_norm: LayerNorm,
    /// (scale * scale * hidden, text width), a transposed view.
    connector: Tensor,
}

#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    feed_forward: FeedForward,
}

impl CandleTower {
    pub(super) fn load(
        checkpoint: &VisionCheckpoint,
        device: &Device,
        precision: CardPrecision,
    ) -> Result<Self> {
        let dtype = precision.dtype();
        let loader = Loader {
            source: checkpoint,
            device,
            dtype,
        };
        let config = checkpoint.config().clone();
        let blocks = (0..config.blocks).map(|block| Block::load(&config, &loader, block));
        Ok(Self {
            patch: load_patch(&config, &loader)?,
            positions: load_positions(&config, &loader)?,
            blocks: blocks.collect::<Result<_>>()?,
            last_norm: loader.norm(LAST_NORM, config.hidden, config.epsilon)?,
            connector: turned(
                &loader,
                CONNECTOR,
                loader.tensor(CONNECTOR, &[config.text_width, config.shuffled()])?,
            )?,
            device: device.clone(),
            precision,
            config,
        })
    }

    /// Frames of (3, size, size) -> (frames, patches, hidden), after the last norm.
    fn see(&self, frames: &[&[f32]]) -> candle_core::Result<Tensor> {
        let config = &self.config;
        let (mut values, mut patches) = (Vec::new(), Vec::new());
        for frame in frames {
            frame::patches(config, frame, &mut patches);
            values.extend_from_slice(&patches);
        }
        let (patches, hidden) = self.positions.dims2()?;
        let shape = (frames.len() * patches, config.patch_values());
        let values = Tensor::from_vec(values, shape, &self.device)?;
        let values = values.to_dtype(self.precision.dtype())?;
        let embedded = values.matmul(&self.patch)?;
        let embedded = embedded.reshape((frames.len(), patches, hidden))?;
        let mut states = embedded.broadcast_add(&self.positions)?;
        let no_padding = vec![0..0; frames.len()];
        let marks = marks(&no_padding, patches, self.precision.dtype(), &self.device)?;
        let marked = Marked::new(&marks, hidden)?;
        for block in &self.blocks {
            states = block.forward(&states, &marked)?;
        }
        self.last_norm.forward(&states)
    }

    /// States of patches as tokens of the text model.
    fn connect(&self, states: &Tensor) -> candle_core::Result<Tensor> {
        let (scale, hidden) = (self.config.scale_factor, self.config.hidden);
        let (frames, side) = (states.dim(0)?, self.config.side() / scale);
        // A row of squares begins where the last one of a frame ends, and so do frames.
        let squares = states.reshape((frames * side, scale, side, scale * hidden))?;
        let squares = squares.transpose(1, 2)?.contiguous()?;
        let joined = squares.reshape((frames * self.config.tokens(), self.config.shuffled()))?;
        joined.matmul(&self.connector)
    }

    /// The values of what `compute` makes of the states of frames. Some that went beyond what can be computed in are
    /// not given out.
    fn values(
        &self,
        frames: &[&[f32]],
        compute: impl Fn(Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Vec<f32>, ComputeError> {
        frames
            .iter()
            .try_for_each(|frame| check_frame(&self.config, frame))?;
        let mut all = Vec::new();
        for frames in frames.chunks(FRAMES) {
            let values = self.see(frames).and_then(&compute).and_then(|computed| {
                computed
                    .flatten_all()?
                    .to_dtype(DType::F32)?
                    .to_vec1::<f32>()
            });
            all.extend(values.map_err(|error| explained(error, &self.device))?);
        }
        match all.iter().all(|value| value.is_finite()) {
            true => Ok(all),
            false => {
                let problem = "a frame became no finite numbers: this tower cannot be computed in";
                Err(format!("{problem} {:?}", self.precision).into())
            }
        }
    }
}

impl VisionTower for CandleTower {
    fn config(&self) -> &VisionConfig {
        &self.config
    }

    fn encode(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError> {
        self.encode_frames(&[frame])
    }

    fn encode_frames(&self, frames: &[&[f32]]) -> Result<Vec<f32>, ComputeError> {
        self.values(frames, |states| self.connect(&states))
    }

    fn frames_at_once(&self) -> usize {
        FRAMES
    }

    fn states(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError> {
        self.values(&[frame], Ok)
    }

    fn memory_bytes(&self) -> usize {
        let tables = [&self.patch, &self.positions, &self.connector];
        let tables: usize = tables.into_iter().map(bytes).sum();
        let blocks: usize = self.blocks.iter().map(Block::bytes).sum();
        tables + blocks + self.last_norm.bytes()
    }
}

impl Block {
    fn load(config: &VisionConfig, loader: &Loader<'_>, block: usize) -> Result<Self> {
        let (hidden, inner) = (config.hidden, config.inner);
        let name = |part: &str| of_block(block, part);
        let maps = ["q_proj", "k_proj", "v_proj", "out_proj"];
        let maps = maps.map(|map| name(&format!("self_attn.{map}")));
        Ok(Self {
            norm1: loader.norm(&name("layer_norm1"), hidden, config.epsilon)?,
            attention: Attention::load(loader, maps, hidden, config.heads)?,
            norm2: loader.norm(&name("layer_norm2"), hidden, config.epsilon)?,
            feed_forward: FeedForward::load(
                loader,
                ["mlp.fc1", "mlp.fc2"].map(name),
                (hidden, inner),
                Activation::GeluTanh,
            )?,
        })
    }

    fn bytes(&self) -> usize {
        let norms = self.norm1.bytes() + self.norm2.bytes();
        self.attention.bytes() + self.feed_forward.bytes() + norms
    }

    /// (frames, patches, hidden) -> the same
    fn forward(&self, states: &Tensor, marked: &Marked) -> candle_core::Result<Tensor> {
        let normed = self.norm1.forward(states)?;
        let states = (states + self.attention.forward(marked.put(&normed)?)?)?;
        let normed = self.norm2.forward(&states)?;
        states + self.feed_forward.forward(marked.put(&normed)?)?
    }
}

/// The convolution of patches as a map: its windows do not overlap.
fn load_patch(config: &VisionConfig, loader: &Loader<'_>) -> Result<Tensor> {
    let name = format!("{PATCH}.weight");
    let (hidden, patch) = (config.hidden, config.patch_size);
    let values = loader.source.values(&name, &[hidden, 3, patch, patch])?;
    let rows = loader.place(&name, values, &[hidden, config.patch_values()])?;
    turned(loader, &name, rows)
}

/// The table of positions, with what is added to every patch.
fn load_positions(config: &VisionConfig, loader: &Loader<'_>) -> Result<Tensor> {
    let dims = [config.patches(), config.hidden];
    let mut positions = loader.source.values(POSITIONS, &dims)?;
    let bias = format!("{PATCH}.bias");
    let bias = loader.source.values(&bias, &[config.hidden])?;
    for row in positions.chunks_exact_mut(config.hidden) {
        row.iter_mut()
            .zip(&bias)
            .for_each(|(value, bias)| *value += bias);
    }
    loader.place(POSITIONS, positions, &dims)
}

/// (outputs, inputs) as a view of (inputs, outputs).
fn turned(loader: &Loader<'_>, name: &str, rows: Tensor) -> Result<Tensor> {
    let turned = rows.t();
    turned.map_err(|error| loader.source.bad(name, error.to_string()))
}

impl WeightSource for VisionCheckpoint {
    fn values(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>> {
        Self::values(self, name, dims)
    }

    fn bad(&self, name: &str, problem: String) -> Error {
        Self::bad(self, name, problem)
    }
}
