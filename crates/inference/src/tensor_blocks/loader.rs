//! Weights from a file to a device, in the type that is computed in.

use candle_core::{DType, Device, Tensor};

use super::LayerNorm;
use crate::{Error, Result};

/// Where weights are read from.
pub(crate) trait WeightSource {
    /// The values of a tensor, row after row, checked to have these dimensions and to be finite.
    fn values(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>>;

    /// An error about a tensor.
    fn bad(&self, name: &str, problem: String) -> Error;
}

/// Reads weights, and rounds and places what was made of them.
pub(crate) struct Loader<'a> {
    pub(crate) source: &'a dyn WeightSource,
    pub(crate) device: &'a Device,
    /// What is computed in.
    pub(crate) dtype: DType,
}

/// A linear map as files have it.
pub(super) struct Map {
    /// A row for each output.
    pub(super) rows: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Loader<'_> {
    /// A tensor as it is in the file.
    pub(crate) fn tensor(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        let values = self.source.values(name, dims)?;
        self.place(name, values, dims)
    }

    /// A norm over so many values.
    pub(crate) fn norm(&self, name: &str, width: usize, epsilon: f32) -> Result<LayerNorm> {
        let vector = |part: &str| self.tensor(&format!("{name}.{part}"), &[width]);
        Ok(LayerNorm::new(vector("weight")?, vector("bias")?, epsilon))
    }

    pub(super) fn map(&self, name: &str, outputs: usize, inputs: usize) -> Result<Map> {
        let values = |part: &str, dims: &[usize]| {
            let name = format!("{name}.{part}");
            self.source.values(&name, dims)
        };
        Ok(Map {
            rows: values("weight", &[outputs, inputs])?,
            bias: values("bias", &[outputs])?,
        })
    }

    /// Rounds values and brings them to the device. `name` is for messages.
    pub(crate) fn place(&self, name: &str, values: Vec<f32>, dims: &[usize]) -> Result<Tensor> {
        let largest = values
            .iter()
            .fold(0f32, |most, value| most.max(value.abs()));
        if self.dtype == DType::F16 && largest > half::f16::MAX.to_f32() {
            let problem = format!("it has a value of {largest}, which f16 cannot hold");
            return Err(self.source.bad(name, problem));
        }
        let placed = Tensor::from_vec(values, dims, &Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(self.dtype)?.to_device(self.device));
        placed.map_err(|error| self.source.bad(name, error.to_string()))
    }
}
