//! The kernels on an NVIDIA card: loading them, and what is between them and tensors.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda::{CudaDType, CudaError};
use candle_core::{CudaDevice, CudaStorage, Device, Error, Layout, Result};
use longtrainer_kernels::{CardError, CardKernels};

use super::Fused;
use super::check::check;

/// Set to `off`, a card does with Candle's operators alone.
const VARIABLE: &str = "LONGTRAINER_CARD_KERNELS";

/// What a card does in one: all that its kernels are right about, which is tried out.
pub(super) fn fused(device: &CudaDevice) -> Fused {
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "off") {
        return Fused::default();
    }
    let loaded = CardKernels::load(&device.cuda_stream()).map_err(|error| explained(error.into()));
    let tried = loaded.and_then(|kernels| {
        let fused = Fused {
            is_on: true,
            kernels: Some(kernels),
        };
        check(&fused, &Device::Cuda(device.clone()))?;
        Ok(fused)
    });
    tried.unwrap_or_else(|error| {
        tracing::warn!(%error, "Candle's operators are used instead of kernels of our own");
        Fused::default()
    })
}

impl Fused {
    pub(super) fn kernels(&self) -> Result<&CardKernels> {
        match &self.kernels {
            Some(kernels) => Ok(kernels),
            None => candle_core::bail!("the kernels are not loaded"),
        }
    }
}

/// Numbers that lie side by side.
pub(super) fn view<'a, T: CudaDType>(
    storage: &'a CudaStorage,
    layout: &Layout,
) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice::<T>()?.slice(start..end)),
        None => candle_core::bail!("numbers that lie side by side are wanted"),
    }
}

/// What a kernel gave, on the device of what it was given.
pub(super) fn given<T: CudaDType>(
    given: std::result::Result<CudaSlice<T>, CardError>,
    like: &CudaStorage,
) -> Result<CudaStorage> {
    let slice = given.map_err(explained)?;
    Ok(CudaStorage::wrap_cuda_slice(slice, like.device.clone()))
}

/// The driver's errors in the form in which operators of Candle have them, which says what they mean.
fn explained(error: CardError) -> Error {
    match error {
        CardError::Driver(error) => Error::Cuda(Box::new(CudaError::Cuda(error))),
        other => Error::msg(other),
    }
}

/// Something for each type of numbers that kernels take.
macro_rules! by_type {
    ($storage:expr, $number:ident => $body:expr) => {{
        use candle_core::backend::BackendStorage;
        match $storage.dtype() {
            candle_core::DType::F32 => {
                type $number = f32;
                $body
            }
            candle_core::DType::F16 => {
                type $number = half::f16;
                $body
            }
            candle_core::DType::BF16 => {
                type $number = half::bf16;
                $body
            }
            other => candle_core::bail!("no kernel takes {other:?}"),
        }
    }};
}
pub(super) use by_type;
