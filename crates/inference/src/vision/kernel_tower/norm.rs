//! Layer norm of states that stay as they are: a block's parts see normed copies.

use longtrainer_kernels::{Team, layer_norm};

use super::super::VisionCheckpoint;
use crate::Result;
use crate::error::ComputeError;
use crate::rows::try_rows;

/// Scale and shift of a norm.
#[derive(Debug)]
pub(super) struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    pub(super) fn load(checkpoint: &VisionCheckpoint, name: &str) -> Result<Self> {
        let config = checkpoint.config();
        let vector = |part: &str| checkpoint.values(&format!("{name}.{part}"), &[config.hidden]);
        Ok(Self {
            scale: vector("weight")?,
            shift: vector("bias")?,
            epsilon: config.epsilon,
        })
    }

    /// Writes the norm of each of `states` to `normed`, which is made to fit.
    pub(super) fn forward(
        &self,
        team: &Team,
        states: &[f32],
        normed: &mut Vec<f32>,
    ) -> Result<(), ComputeError> {
        let width = self.scale.len();
        normed.resize(states.len(), 0.0);
        try_rows(team, normed, width, |first, normed| {
            normed.copy_from_slice(&states[first * width..][..normed.len()]);
            layer_norm(normed, &self.scale, &self.shift, self.epsilon)
        })
    }

    /// Memory of the weights.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.scale) + size_of_val(&*self.shift)
    }
}
