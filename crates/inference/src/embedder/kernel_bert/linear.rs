//! Linear maps of an encoder, in the precision asked for.

use longtrainer_kernels::{
    DenseFormat, DenseMatrix, Linear as Maps, Matrix, QuantisedMatrix, QuantisedRows, Team,
};

use crate::Result;
use crate::error::ComputeError;
use crate::rows::map_rows;
use crate::tensor_blocks::WeightSource;

use super::super::options::Precision;
use super::super::weights::Weights;

/// Rows of an int8 matrix are multiples of it.
const INT8_BLOCK: usize = 32;

/// One or more linear maps of one input; their outputs lie side by side.
#[derive(Debug)]
pub(super) struct Linear {
    maps: Maps,
}

impl Linear {
    /// Reads maps of one input, each with `outputs` outputs.
    pub(super) fn load(
        weights: &Weights,
        team: &Team,
        precision: Precision,
        names: &[String],
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        let mut matrices = Vec::new();
        let mut bias = Vec::new();
        for name in names {
            let matrix = format!("{name}.weight");
            let values = weights.values(&matrix, &[outputs, inputs])?;
            let packed = pack(team, precision, &values, outputs, inputs);
            matrices.push(packed.map_err(|error| weights.bad(&matrix, error.to_string()))?);
            bias.extend(weights.values(&format!("{name}.bias"), &[outputs])?);
        }
        let maps = Maps::new(matrices).and_then(|maps| maps.with_bias(bias));
        Ok(Self {
            maps: maps.map_err(|error| weights.bad(&names.join(", "), error.to_string()))?,
        })
    }

    /// (tokens, inputs) -> (tokens, outputs), with the bias.
    pub(super) fn forward(
        &self,
        team: &Team,
        input: &[f32],
        rows: &mut QuantisedRows,
        out: &mut Vec<f32>,
    ) -> Result<(), ComputeError> {
        map_rows(&self.maps, team, input, rows, out)
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

fn pack(
    team: &Team,
    precision: Precision,
    values: &[f32],
    rows: usize,
    columns: usize,
) -> longtrainer_kernels::Result<Matrix> {
    let dense =
        |format| DenseMatrix::from_f32(team, format, values, rows, columns).map(Matrix::from);
    match precision {
        Precision::Int8 if columns.is_multiple_of(INT8_BLOCK) => {
            QuantisedMatrix::round(team, values, rows, columns).map(Matrix::from)
        }
        Precision::Int8 | Precision::F32 => dense(DenseFormat::F32),
        Precision::Bf16 | Precision::Mixed => dense(DenseFormat::Bf16),
    }
}
