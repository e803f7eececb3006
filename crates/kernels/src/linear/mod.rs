//! Linear maps of one input, done together.
//!
//! Queries, keys and values share an input, and so do the two halves of a gated feed-forward: one
//! [`Linear`] holds all matrices of such a group, rounds the input once and shares all their tiles
//! out in one region of the team. Their outputs lie side by side.

use crate::disjoint::Disjoint;
use crate::isa::Supported;
use crate::quantised::{Output, QuantisedMatrix, QuantisedRows};
use crate::shape::{require_length, require_rows};
use crate::{Result, Team};

#[cfg(test)]
mod tests;

/// Weights of a task at least, in bytes: less is done before another thread has heard of it.
const TASK_BYTES: usize = 16 * 1024;

/// A matrix of any kind.
#[derive(Debug)]
#[non_exhaustive]
pub enum Matrix {
    /// Quantised weights, multiplied in whole numbers.
    Quantised(QuantisedMatrix),
}

impl Matrix {
    /// Outputs.
    pub fn rows(&self) -> usize {
        match self {
            Self::Quantised(matrix) => matrix.rows(),
        }
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        match self {
            Self::Quantised(matrix) => matrix.columns(),
        }
    }

    /// Memory of the weights.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Quantised(matrix) => matrix.bytes(),
        }
    }

    /// The weights of a row, as f32: what an embedding looks up.
    ///
    /// # Errors
    ///
    /// [`Error::Row`](crate::Error::Row) if there is no such row, [`Error::Length`](crate::Error::Length) if `out` is not a row long.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        match self {
            Self::Quantised(matrix) => matrix.row(row, out),
        }
    }

    fn tiles(&self) -> usize {
        match self {
            Self::Quantised(matrix) => matrix.tile_count(),
        }
    }

    /// Tiles that make a task worth handing out, an even number: tiles are best done in pairs.
    fn tiles_a_task(&self) -> usize {
        let tile = self.bytes() / self.tiles().max(1);
        TASK_BYTES.div_ceil(tile.max(1)).next_multiple_of(2)
    }
}

/// One or more linear maps of one input.
#[derive(Debug)]
pub struct Linear {
    matrices: Vec<Matrix>,
    rows: usize,
    columns: usize,
}

/// Some neighbouring tiles of one matrix.
#[derive(Debug, Clone)]
struct Task {
    matrix: usize,
    tiles: std::ops::Range<usize>,
    offset: usize,
}

impl Linear {
    /// Joins maps of one input.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) if they have different numbers of columns.
    pub fn new(matrices: Vec<Matrix>) -> Result<Self> {
        let columns = matrices.first().map_or(0, Matrix::columns);
        for matrix in &matrices {
            require_length("columns", columns, matrix.columns())?;
        }
        Ok(Self {
            rows: matrices.iter().map(Matrix::rows).sum(),
            columns,
            matrices,
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
    /// [`Error::PartialVector`](crate::Error::PartialVector) if `input` is no whole rows, [`Error::Length`](crate::Error::Length) if `out` has another
    /// length than that many outputs; `out` is then as it was.
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
        scratch.fill_on(cpu, team, input, self.columns)?;
        let tasks = self.tasks();
        let values = Disjoint::new(out);
        team.run(tasks.len(), |task| {
            let Task {
                matrix,
                tiles,
                offset,
            } = tasks[task].clone();
            let output = Output {
                values,
                stride: self.rows,
                offset,
            };
            match &self.matrices[matrix] {
                // SAFETY: each task has its own tiles, and each tile its own outputs.
                Matrix::Quantised(matrix) => unsafe {
                    matrix.tile_product(cpu, tiles, scratch, output);
                },
            }
        });
        Ok(())
    }

    fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut offset = 0;
        for (number, matrix) in self.matrices.iter().enumerate() {
            let step = matrix.tiles_a_task();
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

impl From<QuantisedMatrix> for Matrix {
    fn from(matrix: QuantisedMatrix) -> Self {
        Self::Quantised(matrix)
    }
}
