//! What a device reaches when it does nothing else: what a benchmark holds its models against.

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};

use super::{SelectedDevice, explained};
use crate::Result;
use crate::error::compute_failed;

/// How long a rate is measured at least.
const LEAST: Duration = Duration::from_millis(200);
/// Bytes copied, and the side of the matrices multiplied: on a card many times its caches, on a processor no more
/// than a test wants to wait for.
const CARD: (usize, usize) = (1 << 30, 8192);
const PROCESSOR: (usize, usize) = (1 << 26, 256);

/// What a device reaches when it does nothing else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceRates {
    /// Bytes a second read and written by a copy within its memory.
    pub copied: f64,
    /// Multiplications and additions a second in a product of f32 matrices.
    pub f32_operations: f64,
    /// The same in bfloat16, where the device multiplies it.
    pub bf16_operations: Option<f64>,
}

impl SelectedDevice {
    /// Measures what the device reaches, in about a second.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceMemory`](crate::Error::DeviceMemory) when it has no room for two gigabytes, and what else the
    /// device refuses.
    pub fn measure_rates(&self) -> Result<DeviceRates> {
        let device = self.device();
        let rates = measure(device);
        rates.map_err(|error| compute_failed(self.name(), explained(error, device)))
    }
}

fn measure(device: &Device) -> candle_core::Result<DeviceRates> {
    let (bytes, side) = match device.is_cpu() {
        true => PROCESSOR,
        false => CARD,
    };
    let bf16 = match device.is_cpu() {
        true => None,
        false => Some(product(device, side, DType::BF16)?),
    };
    Ok(DeviceRates {
        copied: copy(device, bytes)?,
        f32_operations: product(device, side, DType::F32)?,
        bf16_operations: bf16,
    })
}

fn copy(device: &Device, bytes: usize) -> candle_core::Result<f64> {
    let from = Tensor::zeros(bytes / size_of::<f32>(), DType::F32, device)?;
    let a_second = runs_a_second(device, || from.force_contiguous())?;
    Ok(2.0 * bytes as f64 * a_second)
}

fn product(device: &Device, side: usize, dtype: DType) -> candle_core::Result<f64> {
    let matrix = Tensor::rand(-1f32, 1.0, (side, side), device)?.to_dtype(dtype)?;
    let a_second = runs_a_second(device, || matrix.matmul(&matrix))?;
    Ok(2.0 * (side as f64).powi(3) * a_second)
}

/// Runs are queued by the dozen, so that none waits for the one who asks for it.
fn runs_a_second(
    device: &Device,
    run: impl Fn() -> candle_core::Result<Tensor>,
) -> candle_core::Result<f64> {
    const AT_ONCE: u32 = 12;
    run()?;
    device.synchronize()?;
    let (started, mut runs) = (Instant::now(), 0);
    while started.elapsed() < LEAST {
        for _ in 0..AT_ONCE {
            run()?;
        }
        device.synchronize()?;
        runs += AT_ONCE;
    }
    Ok(f64::from(runs) / started.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    /// Slower than any machine and faster than none is.
    #[test]
    fn rates_are_plausible() {
        let rates = crate::test_device::device().measure_rates().unwrap();
        let plausible = 1e8..1e16;
        assert!(plausible.contains(&rates.copied), "{rates:?}");
        assert!(plausible.contains(&rates.f32_operations), "{rates:?}");
        if let Some(bf16) = rates.bf16_operations {
            assert!(plausible.contains(&bf16), "{rates:?}");
        }
    }
}
