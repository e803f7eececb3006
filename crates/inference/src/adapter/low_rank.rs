//! The change of one matrix: a product of two narrow ones.

use longtrainer_kernels::DenseFormat;

/// `scale * B A`, which is added to a matrix of (outputs, inputs).
#[derive(Debug)]
pub(crate) struct LowRank {
    /// (rank, inputs)
    pub(crate) a: Factor,
    /// (outputs, rank)
    pub(crate) b: Factor,
    /// `alpha / rank`, or what else the file says.
    pub(crate) scale: f32,
}

/// One of the two: its rows, one after another.
#[derive(Debug)]
pub(crate) struct Factor {
    /// Its name in the file.
    pub(crate) tensor: String,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f32>,
    /// What holds the values as exactly as the file does.
    pub(crate) format: DenseFormat,
}

impl LowRank {
    /// Columns of `B` and rows of `A`.
    pub(crate) fn rank(&self) -> usize {
        self.a.rows
    }

    /// Inputs of the matrix that it changes.
    pub(crate) fn inputs(&self) -> usize {
        self.a.columns
    }

    /// Outputs of the matrix that it changes.
    pub(crate) fn outputs(&self) -> usize {
        self.b.rows
    }
}
