//! What the device can do at best.

use longtrainer_inference::SelectedDevice;
use longtrainer_kernels::{Team, integer_rate, multiply_add_rate, read_bandwidth};

use crate::error::Result;

/// What the device can do at best: the processor with the threads of the tests, or a card.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Peaks {
    /// Billions of bytes a second read from memory; on a card, read and written by a copy.
    pub gb_per_s: f64,
    /// Billions of f32 multiplications and additions a second; on a card, in a product of matrices.
    pub f32_gop_per_s: f64,
    /// The same in bfloat16, on a card. Not every processor multiplies it.
    pub bf16_gop_per_s: Option<f64>,
    /// Billions of multiplications and additions of bytes a second, on the processor.
    pub int8_gop_per_s: Option<f64>,
}

impl Peaks {
    /// Measures the processor, in about half a second.
    pub(super) fn of_processor(team: &Team) -> Self {
        Self {
            gb_per_s: read_bandwidth(team) / 1e9,
            f32_gop_per_s: multiply_add_rate(team) / 1e9,
            bf16_gop_per_s: None,
            int8_gop_per_s: Some(integer_rate(team) / 1e9),
        }
    }

    /// Measures a card, in about a second.
    pub(super) fn of_card(device: &SelectedDevice) -> Result<Self> {
        let rates = device.measure_rates()?;
        Ok(Self {
            gb_per_s: rates.copied / 1e9,
            f32_gop_per_s: rates.f32_operations / 1e9,
            bf16_gop_per_s: rates.bf16_operations.map(|rate| rate / 1e9),
            int8_gop_per_s: None,
        })
    }
}
