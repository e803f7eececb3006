//! Layer norm (Ba et al. 2016) and the sum before it.

use longtrainer_kernels::{Team, add, layer_norm};

use crate::Result;
use crate::error::ComputeError;
use crate::rows::try_rows;
use crate::tensor_blocks::WeightSource;

use super::super::folder::BertConfig;
use super::super::weights::Weights;

/// Scale and shift of a norm.
#[derive(Debug)]
pub(super) struct LayerNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    pub(super) fn load(config: &BertConfig, weights: &Weights, name: &str) -> Result<Self> {
        let vector = |part: &str| weights.values(&format!("{name}.{part}"), &[config.hidden_size]);
        Ok(Self {
            scale: vector("weight")?,
            shift: vector("bias")?,
            epsilon: config.layer_norm_eps as f32,
        })
    }

    /// Memory of the weights.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.scale) + size_of_val(&*self.shift)
    }

    /// Norms each state.
    pub(super) fn forward(&self, team: &Team, states: &mut [f32]) -> Result<(), ComputeError> {
        try_rows(team, states, self.scale.len(), |_, states| {
            layer_norm(states, &self.scale, &self.shift, self.epsilon)
        })
    }

    /// Adds what a part of a layer computed, then norms.
    pub(super) fn add_and_norm(
        &self,
        team: &Team,
        states: &mut [f32],
        addition: &[f32],
    ) -> Result<(), ComputeError> {
        let width = self.scale.len();
        try_rows(team, states, width, |first, states| {
            add(
                states,
                &addition[first * width..first * width + states.len()],
            )?;
            layer_norm(states, &self.scale, &self.shift, self.epsilon)
        })
    }
}
