//! What the processor can do at best with the threads of the tests.

use longtrainer_kernels::{Team, integer_rate, multiply_add_rate, read_bandwidth};

/// What the processor can do at best.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Peaks {
    /// Billions of bytes a second read from memory.
    pub gb_per_s: f64,
    /// Billions of f32 multiplications and additions a second.
    pub f32_gop_per_s: f64,
    /// Billions of multiplications and additions of bytes a second.
    pub int8_gop_per_s: f64,
}

impl Peaks {
    /// Measures them, in about half a second.
    pub(super) fn measure(team: &Team) -> Self {
        Self {
            gb_per_s: read_bandwidth(team) / 1e9,
            f32_gop_per_s: multiply_add_rate(team) / 1e9,
            int8_gop_per_s: integer_rate(team) / 1e9,
        }
    }
}
