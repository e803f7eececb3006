//! The vision half of Idefics3 and SmolVLM: frames of pixels into tokens for a text model.
//!
//! A SigLIP tower (Zhai et al. 2023, <https://arxiv.org/abs/2303.15343>) sees a frame as patches: a
//! linear map and a table of positions, blocks of attention among all patches and feed-forward parts,
//! each after a layer norm, and a last norm. Squares of neighbouring states are joined (pixel shuffle)
//! and mapped to the text model's width (Laurençon et al. 2024, <https://arxiv.org/abs/2408.12637>).
//!
//! [`VisionCheckpoint`] reads it from disk, [`load_tower`] makes it run: on the processor over our
//! kernels, elsewhere through Candle's tensors, which are also the reference in the tests.

mod candle_tower;
mod checkpoint;
mod config;
mod frame;
mod kernel_tower;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::device::SelectedDevice;
use crate::embedder::{CardPrecision, Precision};
use crate::error::ComputeError;
use crate::{Result, threads};

pub use checkpoint::VisionCheckpoint;
pub use config::VisionConfig;

use candle_tower::CandleTower;
use kernel_tower::KernelTower;

/// What a vision half is best computed in, on a processor and on a card: the published ones are in bf16. The least cosine of a token to the one in f32,
/// for random weights in SmolVLM-256M's shape, and where a few states are made many times as large as all
/// others, as trained towers have them: 0.99998 and 0.9998 for this, 0.99993 and 0.9991 for
/// [`Precision::Mixed`], 0.99988 and 0.9987 for [`Precision::Int8`], which is a sixth faster.
pub const TOWER_PRECISION: Precision = Precision::Bf16;

/// A vision half that is ready to run.
pub trait VisionTower: Send + Sync {
    /// Its shape.
    fn config(&self) -> &VisionConfig;

    /// What a frame is to the text model: (3, size, size) normalised pixels, red before green before
    /// blue, to (tokens, text width) values.
    ///
    /// # Errors
    ///
    /// If the frame has another number of values, or the kernels or the tensor library refuse.
    fn encode(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError>;

    /// [`encode`](Self::encode) for several frames, whose tokens follow each other. On a card frames share the products:
    /// one alone does not keep it busy.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    fn encode_frames(&self, frames: &[&[f32]]) -> Result<Vec<f32>, ComputeError> {
        let mut tokens = Vec::new();
        for frame in frames {
            tokens.extend(self.encode(frame)?);
        }
        Ok(tokens)
    }

    /// How many frames [`encode_frames`](Self::encode_frames) is best given at once.
    fn frames_at_once(&self) -> usize {
        1
    }

    /// The states of a frame's patches after the last norm, (patches, hidden), which
    /// [`encode`](Self::encode) joins and maps: for comparisons with other programs.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    fn states(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError>;

    /// Memory of the weights, and of the buffers that are kept between frames.
    fn memory_bytes(&self) -> usize;
}

/// Makes a vision half run on a device. On the processor it computes with this number of threads, `None`
/// for all, in this precision ([`TOWER_PRECISION`] is a good one); the result does not depend on the
/// threads. What graphics cards compute in, [`Precision::on_a_card`] says.
///
/// # Errors
///
/// [`Error::BadTensor`](crate::Error::BadTensor) for tensors of other shapes than the configuration calls
/// for or with values that are not finite, [`Error::Threads`](crate::Error::Threads) and
/// [`Error::InvalidRequest`](crate::Error::InvalidRequest) for threads that cannot be had.
pub fn load_tower(
    checkpoint: &VisionCheckpoint,
    device: &SelectedDevice,
    threads: Option<usize>,
    precision: Precision,
) -> Result<Arc<dyn VisionTower>> {
    if !device.device().is_cpu() {
        return load_candle_tower(checkpoint, device, precision.on_a_card());
    }
    threads::check(threads)?;
    let team = threads::team(&checkpoint.path().display().to_string(), threads)?;
    Ok(Arc::new(KernelTower::load(checkpoint, team, precision)?))
}

/// The same through Candle, on any device.
pub(crate) fn load_candle_tower(
    checkpoint: &VisionCheckpoint,
    device: &SelectedDevice,
    precision: CardPrecision,
) -> Result<Arc<dyn VisionTower>> {
    let tower = CandleTower::load(checkpoint, device.device(), precision)?;
    Ok(Arc::new(tower))
}

/// The tensors of a vision half by their names in a folder of the hub, with their dimensions.
pub(crate) fn tensor_dims(config: &VisionConfig) -> Vec<(String, Vec<usize>)> {
    use checkpoint::names;
    let names = names::all(config).into_iter();
    let named = names.map(|name| (names::hub(&name), names::dims(config, &name)));
    named.collect()
}

/// That a frame has the pixels that the tower asks for.
fn check_frame(config: &VisionConfig, frame: &[f32]) -> Result<(), ComputeError> {
    let expected = config.frame_values();
    match frame.len() == expected {
        true => Ok(()),
        false => Err(format!(
            "a frame has {} values, but the tower takes {expected}: 3 times {} by {}",
            frame.len(),
            config.image_size,
            config.image_size
        )
        .into()),
    }
}
