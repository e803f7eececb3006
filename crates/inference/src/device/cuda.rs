//! NVIDIA cards: opening one, and what its driver's errors mean.
//!
//! The bindings panic where a library is missing, so libraries are looked for before they are used. All work goes
//! to one stream of the card, because threads take turns with a model and each relies on what the other has
//! computed; on a stream for each thread, the library's default, nothing would make one wait for the other.

use candle_core::cuda::CudaError;
use candle_core::cuda::cudarc::driver::sys::CUresult;
use candle_core::cuda::cudarc::driver::{CudaContext, DriverError};
use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{CudaDevice, DType, Device, Error as CandleError, Module, Tensor};
use longtrainer_kernels::{keep_to_one_stream, shared_library_opens, unused_pool_memory};

use super::details::{DeviceDetails, DeviceMemory};
use super::problem::{self as problems, DeviceProblem};

/// A library that a card cannot be used without.
struct Library {
    name: &'static str,
    /// File names, by which the bindings look for it too.
    files: &'static [&'static str],
    remedy: &'static str,
}

const TOOLKIT: &str = "install CUDA 13, or the packages of scripts/cuda/runtime-requirements.txt \
                       with their folders in LD_LIBRARY_PATH";

const LIBRARIES: [Library; 4] = [
    Library {
        name: "the CUDA driver",
        files: &["libcuda.so.1", "libcuda.so", "nvcuda.dll"],
        remedy: "install NVIDIA's driver, 580 or newer",
    },
    Library {
        name: "cuBLAS",
        files: &["libcublas.so.13", "libcublas.so", "cublas64_13.dll"],
        remedy: TOOLKIT,
    },
    Library {
        name: "cuBLASLt",
        files: &["libcublasLt.so.13", "libcublasLt.so", "cublasLt64_13.dll"],
        remedy: TOOLKIT,
    },
    Library {
        name: "cuRAND",
        files: &["libcurand.so.10", "libcurand.so", "curand64_10.dll"],
        remedy: TOOLKIT,
    },
];

/// Opens a card and lets it compute something, so that a driver that refuses the kernels does so here.
pub(super) fn open(number: usize) -> Result<Device, DeviceProblem> {
    LIBRARIES.iter().try_for_each(find)?;
    let cards = CudaContext::device_count().map_err(driver_problem)?;
    check_number(number, usize::try_from(cards).unwrap_or(0))?;
    let device = super::guarded(move || Device::new_cuda_with_stream(number))?;
    if let Device::Cuda(device) = &device {
        keep_to_one_stream(device.cuda_stream().context()).map_err(driver_problem)?;
    }
    try_out(&device).map_err(|error| problems::of(&error))?;
    Ok(device)
}

fn find(library: &Library) -> Result<(), DeviceProblem> {
    if library.files.iter().any(|file| shared_library_opens(file)) {
        return Ok(());
    }
    let files = library.files.iter().map(|file| (*file).to_owned());
    Err(DeviceProblem::NoLibrary {
        library: library.name,
        files: files.collect(),
        remedy: library.remedy,
    })
}

fn check_number(number: usize, count: usize) -> Result<(), DeviceProblem> {
    match count {
        0 => Err(DeviceProblem::NoCard),
        count if number >= count => Err(DeviceProblem::NoSuchCard { number, count }),
        _ => Ok(()),
    }
}

/// A product of each kind that models are made of. Those with blocks do not tell when they were not computed.
fn try_out(device: &Device) -> candle_core::Result<()> {
    const WIDTH: usize = 256;
    let ones = |rows: usize, dtype| Tensor::ones((rows, WIDTH), dtype, device);
    let blocks = QTensor::quantize(&ones(32, DType::F32)?, GgmlDType::Q8_0)?;
    let blocks = QMatMul::from_qtensor(blocks)?;
    let products = [
        ones(9, DType::BF16)?.matmul(&ones(32, DType::BF16)?.t()?)?,
        blocks.forward(&ones(1, DType::F32)?)?,
        blocks.forward(&ones(9, DType::F32)?)?,
    ];
    for product in products {
        let numbers = product.to_dtype(DType::F32)?.flatten_all()?;
        for number in numbers.to_vec1::<f32>()? {
            let is_right = (number - WIDTH as f32).abs() < 1.0;
            if !is_right {
                candle_core::bail!("it says that {WIDTH} ones add up to {number}");
            }
        }
    }
    Ok(())
}

pub(super) fn details(device: &CudaDevice) -> Option<DeviceDetails> {
    let stream = device.cuda_stream();
    let context = stream.context();
    let (major, minor) = context.compute_capability().ok()?;
    Some(DeviceDetails {
        name: context.name().ok()?,
        compute_capability: Some(format!("{major}.{minor}")),
    })
}

pub(super) fn memory(device: &CudaDevice) -> Option<DeviceMemory> {
    let stream = device.cuda_stream();
    let (free, total) = stream.context().mem_get_info().ok()?;
    let kept = unused_pool_memory(stream.context()).ok()?;
    Some(DeviceMemory {
        free: free as u64 + kept,
        total: total as u64,
    })
}

/// What an error of the tensor library means, if the driver has made it.
pub(super) fn problem(error: &CandleError) -> Option<DeviceProblem> {
    match error {
        CandleError::Cuda(error) => match error.downcast_ref::<CudaError>()? {
            CudaError::Cuda(error) | CudaError::Load { cuda: error, .. } => {
                Some(driver_problem(*error))
            }
            _ => None,
        },
        CandleError::WithBacktrace { inner, .. }
        | CandleError::Context { inner, .. }
        | CandleError::WithPath { inner, .. } => problem(inner),
        _ => None,
    }
}

fn driver_problem(error: DriverError) -> DeviceProblem {
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => DeviceProblem::OutOfMemory,
        CUresult::CUDA_ERROR_NO_DEVICE => DeviceProblem::NoCard,
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        | CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
        | CUresult::CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE
        | CUresult::CUDA_ERROR_STUB_LIBRARY => DeviceProblem::DriverTooOld {
            problem: error.to_string(),
        },
        CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU | CUresult::CUDA_ERROR_INVALID_PTX => {
            DeviceProblem::OtherGeneration {
                problem: error.to_string(),
            }
        }
        _ => DeviceProblem::Failed {
            problem: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_held_against_the_cards_there_are() {
        assert_eq!(check_number(0, 1), Ok(()));
        assert_eq!(check_number(0, 0), Err(DeviceProblem::NoCard));
        let refused = check_number(2, 2).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "there is no card number 2: this machine has 2, counted from 0"
        );
    }

    #[test]
    fn full_memory_is_told_from_other_errors_however_deep_it_lies() {
        let full = DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        let error = CandleError::from(CudaError::from(full)).context("while loading");
        assert_eq!(problem(&error), Some(DeviceProblem::OutOfMemory));
        assert_eq!(problem(&CandleError::msg("other")), None);
    }

    #[test]
    fn a_library_that_is_missing_is_named_with_what_helps() {
        let missing = Library {
            name: "cuNothing",
            files: &["libcunothing.so.0"],
            remedy: "nothing helps",
        };
        assert_eq!(
            find(&missing).unwrap_err().to_string(),
            "cuNothing was not found (libcunothing.so.0): nothing helps"
        );
    }
}
