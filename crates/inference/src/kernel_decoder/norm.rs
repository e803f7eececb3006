//! Root mean square norm (Zhang and Sennrich 2019).

use longtrainer_kernels::{Team, rms_norm};

use crate::error::ComputeError;
use crate::rows::try_rows;

/// The norm of rows of as many values as its scale has.
#[derive(Debug)]
pub(super) struct RmsNorm {
    pub(super) scale: Vec<f32>,
    pub(super) epsilon: f32,
}

impl RmsNorm {
    /// Norms rows of as many values as the scale has.
    pub(super) fn forward(
        &self,
        team: &Team,
        input: &[f32],
        out: &mut Vec<f32>,
    ) -> Result<(), ComputeError> {
        let width = self.scale.len();
        out.resize(input.len(), 0.0);
        try_rows(team, out, width, |first, out| {
            let input = &input[first * width..first * width + out.len()];
            rms_norm(input, &self.scale, self.epsilon, out)
        })
    }
}
