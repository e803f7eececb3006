//! The vision half on the processor, over our own kernels.
//!
//! A frame at a time: its thousand patches are rows enough for every thread, and the buffers of one
//! frame are twenty megabytes in the published shapes.

mod block;
mod linear;
mod norm;
mod scratch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longtrainer_kernels::{Team, add};

use super::checkpoint::names::{CONNECTOR, LAST_NORM, PATCH, POSITIONS};
use super::{VisionCheckpoint, VisionConfig, VisionTower, check_frame, frame};
use crate::Result;
use crate::embedder::Precision;
use crate::error::ComputeError;

use block::Block;
use linear::{Linear, Loader};
use norm::Norm;
use scratch::Scratch;

/// The vision half.
#[derive(Debug)]
pub(super) struct KernelTower {
    config: VisionConfig,
    team: Arc<Team>,
    patch: Linear,
    /// (patches, hidden)
    positions: Vec<f32>,
    blocks: Vec<Block>,
    last_norm: Norm,
    connector: Linear,
    scratch: Mutex<Vec<Scratch>>,
}

impl KernelTower {
    pub(super) fn load(
        checkpoint: &VisionCheckpoint,
        team: Arc<Team>,
        precision: Precision,
    ) -> Result<Self> {
        let config = checkpoint.config().clone();
        let loader = Loader {
            checkpoint,
            team: &team,
            precision,
        };
        let blocks = (0..config.blocks).map(|block| Block::load(loader, block));
        let blocks = blocks.collect::<Result<_>>()?;
        // The first and the last map are a hundredth of the work, and everything goes through them.
        let ends = loader.with(match precision {
            Precision::F32 => Precision::F32,
            _ => Precision::Bf16,
        });
        let patch = [config.hidden, 3, config.patch_size, config.patch_size];
        let (weight, bias) = (format!("{PATCH}.weight"), format!("{PATCH}.bias"));
        Ok(Self {
            patch: ends.map(&weight, Some(&bias), &patch)?,
            positions: checkpoint.values(POSITIONS, &[config.patches(), config.hidden])?,
            blocks,
            last_norm: Norm::load(checkpoint, LAST_NORM)?,
            connector: ends.map(CONNECTOR, None, &[config.text_width, config.shuffled()])?,
            config,
            team,
            scratch: Mutex::default(),
        })
    }

    /// Leaves the states after the last norm in `scratch.normed`.
    fn see(&self, frame: &[f32], scratch: &mut Scratch) -> Result<(), ComputeError> {
        check_frame(&self.config, frame)?;
        self.embed(frame, scratch)?;
        for block in &self.blocks {
            block.forward(&self.team, scratch)?;
        }
        self.last_norm
            .forward(&self.team, &scratch.states, &mut scratch.normed)
    }

    /// From pixels to the states of patches.
    fn embed(&self, frame: &[f32], scratch: &mut Scratch) -> Result<(), ComputeError> {
        let Scratch {
            states,
            joined,
            rounded,
            ..
        } = scratch;
        frame::patches(&self.config, frame, joined);
        self.patch.forward(&self.team, joined, rounded, states)?;
        Ok(add(states, &self.positions)?)
    }

    /// From the states after the last norm to tokens.
    fn connect(&self, scratch: &mut Scratch) -> Result<Vec<f32>, ComputeError> {
        let Scratch {
            normed,
            joined,
            rounded,
            ..
        } = scratch;
        frame::shuffle(&self.config, normed, joined);
        let mut tokens = Vec::new();
        self.connector
            .forward(&self.team, joined, rounded, &mut tokens)?;
        Ok(tokens)
    }

    /// Runs `work` with buffers that are kept for the next frame.
    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = self.kept().pop().unwrap_or_default();
        let result = work(&mut scratch);
        self.kept().push(scratch);
        result
    }

    /// The buffers that no frame uses.
    fn kept(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VisionTower for KernelTower {
    fn config(&self) -> &VisionConfig {
        &self.config
    }

    fn encode(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError> {
        self.with_scratch(|scratch| {
            self.see(frame, scratch)?;
            self.connect(scratch)
        })
    }

    fn states(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError> {
        self.with_scratch(|scratch| {
            self.see(frame, scratch)?;
            Ok(scratch.normed.clone())
        })
    }

    fn memory_bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(Block::bytes).sum();
        let ends = self.patch.bytes() + self.last_norm.bytes() + self.connector.bytes();
        let kept: usize = self.kept().iter().map(Scratch::bytes).sum();
        size_of_val(&*self.positions) + blocks + ends + kept
    }
}
