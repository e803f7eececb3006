//! Linear maps that share an input, with their biases.

use longtrainer_kernels::{Linear, QuantisedRows, Team};

use crate::Result;
use crate::decoder::Weights;
use crate::error::ComputeError;
use crate::rows::map_rows;

/// One or more linear maps of one input; their outputs lie side by side.
#[derive(Debug)]
pub(super) struct Projection {
    linear: Linear,
}

impl Projection {
    /// Reads matrices and, where the file has them, biases: `parts` are names without `.weight` and
    /// widths of outputs.
    pub(super) fn load(
        weights: &Weights<'_>,
        team: &Team,
        parts: &[(String, usize)],
        inputs: usize,
    ) -> Result<Self> {
        let matrices = parts.iter().map(|(name, outputs)| {
            weights.matrix(team, &format!("{name}.weight"), *outputs, inputs)
        });
        let matrices = matrices.collect::<Result<_>>()?;
        let first = parts.first().map_or("", |(name, _)| name.as_str());
        let failed = |error: longtrainer_kernels::Error| weights.failed(first, &error);
        let linear = Linear::new(matrices).map_err(failed)?;
        let linear = match weights.joined_bias_values(parts)? {
            Some(bias) => linear.with_bias(bias).map_err(failed)?,
            None => linear,
        };
        Ok(Self { linear })
    }

    /// (tokens, inputs) -> (tokens, outputs), with the bias.
    pub(super) fn forward(
        &self,
        team: &Team,
        input: &[f32],
        rows: &mut QuantisedRows,
        out: &mut Vec<f32>,
    ) -> Result<(), ComputeError> {
        map_rows(&self.linear, team, input, rows, out)
    }

    /// Memory of the matrices.
    pub(super) fn bytes(&self) -> usize {
        self.linear.bytes()
    }

    /// Outputs.
    pub(super) fn outputs(&self) -> usize {
        self.linear.rows()
    }

    /// A row of the first matrix, as an embedding.
    pub(super) fn row(&self, row: usize, out: &mut [f32]) -> Result<(), ComputeError> {
        let Some(matrix) = self.linear.matrices().first() else {
            return Err("the projection has no matrix".into());
        };
        Ok(matrix.row(row, out)?)
    }
}
