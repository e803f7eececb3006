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
    /// Those of one frame, all of whose patches see each other.
    marks: Tensor,
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
        let failed = |error: candle_core::Error| checkpoint.bad(POSITIONS, error.to_string());
        let blocks = (0..config.blocks).map(|block| Block::load(&config, &loader, block));
        Ok(Self {
            patch: load_patch(&config, &loader)?,
            positions: load_positions(&config, &loader)?,
            marks: marks(&[0..0], config.patches(), dtype, device).map_err(failed)?,
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

    /// (3, size, size) -> (1, patches, hidden), after the last norm.
    fn see(&self, frame: &[f32]) -> candle_core::Result<Tensor> {
        let mut patches = Vec::new();
        frame::patches(&self.config, frame, &mut patches);
        let shape = (self.config.patches(), self.config.patch_values());
        let patches = Tensor::from_vec(patches, shape, &self.device)?;
        let patches = patches.to_dtype(self.precision.dtype())?;
        let mut states = (patches.matmul(&self.patch)? + &self.positions)?.unsqueeze(0)?;
        let marked = Marked::new(&self.marks, self.config.hidden)?;
        for block in &self.blocks {
            states = block.forward(&states, &marked)?;
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

    /// The values of what `compute` makes of a frame. Some that went beyond what can be computed in are not given
    /// out.
    fn values(
        &self,
        frame: &[f32],
        compute: impl FnOnce() -> candle_core::Result<Tensor>,
    ) -> Result<Vec<f32>, ComputeError> {
        check_frame(&self.config, frame)?;
        let read = |computed: Tensor| computed.flatten_all()?.to_dtype(DType::F32)?.to_vec1();
        let values: Vec<f32> = compute()
            .and_then(read)
            .map_err(|error| explained(error, &self.device))?;
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
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
        self.values(frame, || self.connect(&self.see(frame)?))
    }

    fn states(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError> {
        self.values(frame, || self.see(frame))
    }

    fn memory_bytes(&self) -> usize {
        let tables = [&self.patch, &self.positions, &self.marks, &self.connector];
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

    /// (1, patches, hidden) -> (1, patches, hidden)
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
