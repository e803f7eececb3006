//! The maps of a vision half, in the precision asked for.

use longtrainer_kernels::{
    DenseFormat, DenseMatrix, Linear as Maps, Matrix, QuantisedMatrix, QuantisedRows, Team,
};

use super::super::VisionCheckpoint;
use crate::Result;
use crate::embedder::Precision;
use crate::error::ComputeError;
use crate::rows::map_rows;

/// Rows of an int8 matrix are multiples of it.
const INT8_BLOCK: usize = 32;

/// One or more linear maps of one input; their outputs lie side by side.
#[derive(Debug)]
pub(super) struct Linear {
    maps: Maps,
}

/// Where maps are loaded from, and how they are stored.
#[derive(Clone, Copy)]
pub(super) struct Loader<'a> {
    pub(super) checkpoint: &'a VisionCheckpoint,
    pub(super) team: &'a Team,
    pub(super) precision: Precision,
}

impl Loader<'_> {
    /// The same with this precision.
    pub(super) fn with(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Maps with a weight and a bias each, of one input, each with `outputs` outputs.
    pub(super) fn maps(&self, names: &[String], inputs: usize, outputs: usize) -> Result<Linear> {
        let mut matrices = Vec::new();
        let mut bias = Vec::new();
        for name in names {
            let weight = format!("{name}.weight");
            matrices.push(self.matrix(&weight, &[outputs, inputs], outputs)?);
            bias.extend(
                self.checkpoint
                    .values(&format!("{name}.bias"), &[outputs])?,
            );
        }
        self.joined(&names.join(", "), matrices, Some(bias))
    }

    /// A map of its own; a tensor of more dimensions is one of rows.
    pub(super) fn map(&self, weight: &str, bias: Option<&str>, dims: &[usize]) -> Result<Linear> {
        let outputs = dims.first().copied().unwrap_or_default();
        let matrix = self.matrix(weight, dims, outputs)?;
        let bias = bias.map(|bias| self.checkpoint.values(bias, &[outputs]));
        self.joined(weight, vec![matrix], bias.transpose()?)
    }

    fn joined(&self, name: &str, matrices: Vec<Matrix>, bias: Option<Vec<f32>>) -> Result<Linear> {
        let maps = Maps::new(matrices).and_then(|maps| match bias {
            Some(bias) => maps.with_bias(bias),
            None => Ok(maps),
        });
        let maps = maps.map_err(|error| self.checkpoint.bad(name, error.to_string()))?;
        Ok(Linear { maps })
    }

    fn matrix(&self, name: &str, dims: &[usize], rows: usize) -> Result<Matrix> {
        let values = self.checkpoint.values(name, dims)?;
        let columns = values.len() / rows.max(1);
        let packed = self.pack(&values, rows, columns);
        packed.map_err(|error| self.checkpoint.bad(name, error.to_string()))
    }

    fn pack(
        &self,
        values: &[f32],
        rows: usize,
        columns: usize,
    ) -> longtrainer_kernels::Result<Matrix> {
        let team = self.team;
        let dense =
            |format| DenseMatrix::from_f32(team, format, values, rows, columns).map(Matrix::from);
        match self.precision {
            Precision::Int8 if columns.is_multiple_of(INT8_BLOCK) => {
                QuantisedMatrix::round(team, values, rows, columns).map(Matrix::from)
            }
            Precision::Int8 | Precision::F32 => dense(DenseFormat::F32),
            Precision::Bf16 | Precision::Mixed => dense(DenseFormat::Bf16),
        }
    }
}

impl Linear {
    /// (rows, inputs) -> (rows, outputs), with the bias.
    pub(super) fn forward(
        &self,
        team: &Team,
        input: &[f32],
        rounded: &mut QuantisedRows,
        out: &mut Vec<f32>,
    ) -> Result<(), ComputeError> {
        map_rows(&self.maps, team, input, rounded, out)
    }

    /// Memory of the weights, and of a bias for each output.
    pub(super) fn bytes(&self) -> usize {
        self.maps.bytes() + self.maps.rows() * size_of::<f32>()
    }

    /// Outputs.
    pub(super) fn outputs(&self) -> usize {
        self.maps.rows()
    }
}
