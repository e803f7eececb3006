//! Linear maps that share an input, with their biases.

use longtrainer_kernels::{Linear, QuantisedRows, Team, add_rows};

use crate::Result;
use crate::decoder::Weights;
use crate::error::ComputeError;

/// One or more linear maps of one input; their outputs lie side by side.
#[derive(Debug)]
pub(super) struct Projection {
    linear: Linear,
    bias: Option<Vec<f32>>,
}

impl Projection {
    /// Reads matrices and, where the file has them, biases: `parts` are names without `.weight` and
    /// widths of outputs.
    pub(super) fn load(
        weights: &Weights<'_>,
        team: &Team,
        parts: &[(&str, usize)],
        inputs: usize,
    ) -> Result<Self> {
        let matrices = parts.iter().map(|(name, outputs)| {
            weights.matrix(team, &format!("{name}.weight"), *outputs, inputs)
        });
        let matrices = matrices.collect::<Result<_>>()?;
        let first = parts.first().map_or("", |(name, _)| name);
        Ok(Self {
            linear: Linear::new(matrices).map_err(|error| weights.failed(first, &error))?,
            bias: weights.joined_bias_values(parts)?,
        })
    }

    /// (tokens, inputs) -> (tokens, outputs)
    pub(super) fn forward(
        &self,
        team: &Team,
        input: &[f32],
        rows: &mut QuantisedRows,
        out: &mut Vec<f32>,
    ) -> Result<(), ComputeError> {
        let tokens = input.len() / self.linear.columns();
        out.resize(tokens * self.linear.rows(), 0.0);
        self.linear.forward(team, input, rows, out)?;
        if let Some(bias) = &self.bias {
            add_rows(out, bias)?;
        }
        Ok(())
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
