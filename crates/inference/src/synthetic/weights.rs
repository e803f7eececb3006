//! The types that made-up matrices come in.

use std::fmt;
use std::str::FromStr;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::random;
use crate::error::{ComputeError, invalid};
use crate::{Error, Result};

/// Weights that are made and then repeated: enough that no cache is small beside them.
const MADE: usize = 1 << 20;

/// How the matrices of a made-up text model are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WeightType {
    /// 32 bits.
    F32,
    /// 16 bits, as models are published.
    #[default]
    Bf16,
    /// 16 bits, of which more for the fraction.
    F16,
    /// 8 bits, in blocks of 32.
    Q8_0,
    /// 4 bits and a minimum, in blocks of 32.
    Q4_1,
    /// 4 bits, in blocks of 256.
    Q4K,
}

impl WeightType {
    const ALL: [(&'static str, Self); 6] = [
        ("f32", Self::F32),
        ("bf16", Self::Bf16),
        ("f16", Self::F16),
        ("q8_0", Self::Q8_0),
        ("q4_1", Self::Q4_1),
        ("q4_k", Self::Q4K),
    ];

    pub(super) fn ggml(self) -> GgmlDType {
        match self {
            Self::F32 => GgmlDType::F32,
            Self::Bf16 => GgmlDType::BF16,
            Self::F16 => GgmlDType::F16,
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q4_1 => GgmlDType::Q4_1,
            Self::Q4K => GgmlDType::Q4K,
        }
    }

    /// Whether rows of so many values can be written in it.
    pub(super) fn takes_rows_of(self, values: usize) -> bool {
        values.is_multiple_of(self.ggml().block_size())
    }

    /// Bytes of so many values.
    pub(super) fn bytes(self, values: usize) -> usize {
        values / self.ggml().block_size() * self.ggml().type_size()
    }

    /// Bytes of at least so many values from `-size` to `size`.
    pub(super) fn make(self, values: usize, size: f32) -> Result<Vec<u8>, ComputeError> {
        let made = Tensor::from_vec(random::values(MADE, size), MADE, &Device::Cpu)?;
        let bytes = QTensor::quantize(&made, self.ggml())?.data()?.into_owned();
        let repeats = values.div_ceil(MADE).max(1);
        Ok(bytes.repeat(repeats))
    }
}

impl FromStr for WeightType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        let unknown = || invalid("weights", name, "f32, bf16, f16, q8_0, q4_1 or q4_k");
        found.map(|(_, kind)| *kind).ok_or_else(unknown)
    }
}

impl fmt::Display for WeightType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.iter().find(|(_, kind)| kind == self);
        formatter.write_str(found.map_or("", |(name, _)| name))
    }
}
