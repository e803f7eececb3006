//! Linear maps of one input, done together.
//!
//! Queries, keys and values share an input, and so do the two halves of a gated feed-forward: one
//! [`Linear`] holds all matrices of such a group, rounds the input once and shares all their tiles
//! out in one region of the team. Their outputs lie side by side, and so do their biases, from which
//! the sums start.

use std::ops::Range;

use crate::dense::{DenseFormat, DenseInputs, DenseMatrix, FEW};
use crate::disjoint::Disjoint;
use crate::isa::Supported;
use crate::output::Output;
use crate::quantised::{QuantisedMatrix, QuantisedRows};
use crate::shape::{require_length, require_rows};
use crate::{Result, Team};

#[cfg(test)]
mod tests;

/// Weights of a task at least, in bytes: less is done before another thread has heard of it.
const TASK_BYTES: usize = 16 * 1024;
/// Tiles of a task with many tokens: enough to use inputs that have come into the cache again.
const MANY_TOKENS_TILES: usize = 8;

/// A matrix of any kind.
#[derive(Debug)]
#[non_exhaustive]
pub enum Matrix {
    /// Quantised weights, multiplied in whole numbers with rounded inputs.
    Quantised(QuantisedMatrix),
    /// Weights in floating point.
    Dense(DenseMatrix),
}

impl Matrix {
    /// Outputs.
    pub fn rows(&self) -> usize {
        match self {
            Self::Quantised(matrix) => matrix.rows(),
            Self::Dense(matrix) => matrix.rows(),
        }
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        match self {
            Self::Quantised(matrix) => matrix.columns(),
            Self::Dense(matrix) => matrix.columns(),
        }
    }

    /// Memory of the weights.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Quantised(matrix) => matrix.bytes(),
            Self::Dense(matrix) => matrix.bytes(),
        }
    }

    /// The weights of a row, as f32: what an embedding looks up.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`](crate::Error::OutOfRange) if there is no such row,
    /// [`Length`](crate::Error::Length) if `out` is not a row long.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        match self {
            Self::Quantised(matrix) => matrix.row(row, out),
            Self::Dense(matrix) => matrix.row(row, out),
        }
    }

    fn tiles(&self) -> usize {
        match self {
            Self::Quantised(matrix) => matrix.tile_count(),
            Self::Dense(matrix) => matrix.tiles(),
        }
    }

    /// Tiles that make a task worth handing out; a multiple of what is multiplied side by side.
    fn tiles_a_task(&self, tokens: usize) -> usize {
        let tile = self.bytes() / self.tiles().max(1);
        let worth = TASK_BYTES.div_ceil(tile.max(1));
        match self {
            Self::Quantised(_) => worth.next_multiple_of(2),
            Self::Dense(_) if tokens <= FEW => worth.next_multiple_of(4),
            Self::Dense(_) => MANY_TOKENS_TILES,
        }
    }
}

impl From<QuantisedMatrix> for Matrix {
    fn from(matrix: QuantisedMatrix) -> Self {
        Self::Quantised(matrix)
    }
}

impl From<DenseMatrix> for Matrix {
    fn from(matrix: DenseMatrix) -> Self {
        Self::Dense(matrix)
    }
}

/// One or more linear maps of one input, with a bias or without.
#[derive(Debug)]
pub struct Linear {
    matrices: Vec<Matrix>,
    /// A value for each output of all maps together.
    bias: Option<Vec<f32>>,
    rows: usize,
    columns: usize,
    dense_formats: Vec<DenseFormat>,
}

/// Some neighbouring tiles of one matrix.
#[derive(Debug)]
struct Task {
    matrix: usize,
    tiles: Range<usize>,
    /// The first of the matrix's outputs among those of all.
    offset: usize,
}

impl Linear {
    /// Joins maps of one input.
    ///
    /// # Errors
    ///
    /// [`Length`](crate::Error::Length) if they have different numbers of columns.
    pub fn new(matrices: Vec<Matrix>) -> Result<Self> {
        let columns = matrices.first().map_or(0, Matrix::columns);
        for matrix in &matrices {
            require_length("columns", columns, matrix.columns())?;
        }
        Ok(Self {
            rows: matrices.iter().map(Matrix::rows).sum(),
            columns,
            dense_formats: matrices.iter().filter_map(dense_format).collect(),
            bias: None,
            matrices,
        })
    }

    /// The maps with a bias, in place of any before: a value for each output of all maps together.
    ///
    /// # Errors
    ///
    /// [`Length`](crate::Error::Length) if there are more or fewer values.
    pub fn with_bias(self, bias: Vec<f32>) -> Result<Self> {
        require_length("bias", self.rows, bias.len())?;
        Ok(Self {
            bias: Some(bias),
            ..self
        })
    }

    /// Outputs of all maps together.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Memory of the weights.
    pub fn bytes(&self) -> usize {
        self.matrices.iter().map(Matrix::bytes).sum()
    }

    /// The maps.
    pub fn matrices(&self) -> &[Matrix] {
        &self.matrices
    }

    /// (tokens, columns) -> (tokens, rows). `scratch` holds the rounded input.
    ///
    /// # Errors
    ///
    /// [`PartialVector`](crate::Error::PartialVector) if `input` is no whole rows,
    /// [`Length`](crate::Error::Length) if `out` has another length than that many outputs; `out` is
    /// then as it was.
    pub fn forward(
        &self,
        team: &Team,
        input: &[f32],
        scratch: &mut QuantisedRows,
        out: &mut [f32],
    ) -> Result<()> {
        self.forward_on(Supported::active(), team, input, scratch, out)
    }

    fn forward_on(
        &self,
        cpu: Supported,
        team: &Team,
        input: &[f32],
        scratch: &mut QuantisedRows,
        out: &mut [f32],
    ) -> Result<()> {
        let tokens = require_rows("input", self.columns, input.len())?;
        require_length("out", tokens.saturating_mul(self.rows), out.len())?;
        if tokens == 0 {
            return Ok(());
        }
        if self.has_quantised() {
            scratch.fill_on(cpu, team, input, self.columns)?;
        }
        let dense = DenseInputs::new(team, cpu, &self.dense_formats, input, tokens, self.columns)?;
        let tasks = self.tasks(tokens);
        let values = Disjoint::new(out);
        team.run(tasks.len(), |number| {
            let task = &tasks[number];
            let (tiles, output) = (task.tiles.clone(), self.output(values, task));
            match &self.matrices[task.matrix] {
                // SAFETY: each task has its own tiles, and each tile its own outputs.
                Matrix::Quantised(matrix) => unsafe {
                    matrix.tile_product(cpu, tiles, scratch, output);
                },
                // SAFETY: as above.
                Matrix::Dense(matrix) => unsafe {
                    matrix.tile_product(cpu, tiles, &dense, output);
                },
            }
        });
        Ok(())
    }

    fn has_quantised(&self) -> bool {
        let mut matrices = self.matrices.iter();
        matrices.any(|matrix| matches!(matrix, Matrix::Quantised(_)))
    }

    /// Where the outputs of a task's matrix go, with its part of the bias.
    fn output<'out>(&'out self, values: Disjoint<'out, f32>, task: &Task) -> Output<'out> {
        let rows = self.matrices[task.matrix].rows();
        let bias = self.bias.as_deref();
        Output {
            values,
            stride: self.rows,
            offset: task.offset,
            bias: bias.map(|bias| &bias[task.offset..task.offset + rows]),
        }
    }

    fn tasks(&self, tokens: usize) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut offset = 0;
        for (number, matrix) in self.matrices.iter().enumerate() {
            let step = matrix.tiles_a_task(tokens);
            for first in (0..matrix.tiles()).step_by(step) {
                tasks.push(Task {
                    matrix: number,
                    tiles: first..(first + step).min(matrix.tiles()),
                    offset,
                });
            }
            offset += matrix.rows();
        }
        tasks
    }
}

fn dense_format(matrix: &Matrix) -> Option<DenseFormat> {
    match matrix {
        Matrix::Quantised(_) => None,
        Matrix::Dense(matrix) => Some(matrix.format()),
    }
}
