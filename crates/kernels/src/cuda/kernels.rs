//! The kernels, loaded to a card, and the types of numbers that they are for.

use std::sync::Arc;

use cudarc::driver::{CudaFunction, CudaModule, CudaSlice, CudaStream, DeviceRepr, DriverError};
use cudarc::nvrtc::Ptx;
use half::{bf16, f16};

const FUSED: &str = include_str!(concat!(env!("OUT_DIR"), "/fused.ptx"));
const PAGED_ATTENTION: &str = include_str!(concat!(env!("OUT_DIR"), "/paged_attention.ptx"));
/// Heads whose attention has a kernel, and how many query heads of a key head it takes at a time.
const WIDTHS: [usize; 4] = [64, 96, 128, 256];
const HEADS: [usize; 3] = [1, 2, 4];

/// The kernels, loaded to a card.
#[derive(Debug, Clone)]
pub struct CardKernels {
    pub(super) stream: Arc<CudaStream>,
    f32: OfOneType,
    f16: OfOneType,
    bf16: OfOneType,
    f32_f32: CudaFunction,
    f32_f16: CudaFunction,
    f16_f16: CudaFunction,
    bf16_bf16: CudaFunction,
}

#[derive(Debug, Clone)]
pub(super) struct OfOneType {
    pub(super) masked_softmax: CudaFunction,
    pub(super) gated: CudaFunction,
    pub(super) added_and_normed: CudaFunction,
    /// None for numbers of 32 bits.
    pub(super) attention: Option<AttentionKernels>,
}

#[derive(Debug, Clone)]
pub(super) struct AttentionKernels {
    kernels: Vec<AttentionKernel>,
    pub(super) joined_splits: CudaFunction,
}

#[derive(Debug, Clone)]
pub(super) struct AttentionKernel {
    /// Components of a head.
    width: usize,
    /// Query heads of a key head that a block takes at a time.
    pub(super) heads: usize,
    pub(super) function: CudaFunction,
}

/// Numbers that the kernels take.
pub trait CardNumber: DeviceRepr + sealed::OfKernels {}

impl CardNumber for f32 {}
impl CardNumber for f16 {}
impl CardNumber for bf16 {}

/// Numbers of heads, and what they are kept in when they are turned.
pub trait Turned<To>: CardNumber + sealed::Turns<To> {}

impl Turned<f32> for f32 {}
impl Turned<f16> for f32 {}
impl Turned<f16> for f16 {}
impl Turned<bf16> for bf16 {}

mod sealed {
    use super::{CardKernels, CudaFunction, OfOneType, bf16, f16};

    pub trait OfKernels {
        #[expect(private_interfaces, reason = "nobody else names it")]
        fn of(kernels: &CardKernels) -> &OfOneType;
    }

    pub trait Turns<To> {
        fn turns(kernels: &CardKernels) -> &CudaFunction;
    }

    macro_rules! of_kernels {
        ($number:ident) => {
            impl OfKernels for $number {
                #[expect(private_interfaces, reason = "nobody else names it")]
                fn of(kernels: &CardKernels) -> &OfOneType {
                    &kernels.$number
                }
            }
        };
    }

    macro_rules! turns {
        ($from:ident, $to:ident, $name:ident) => {
            impl Turns<$to> for $from {
                fn turns(kernels: &CardKernels) -> &CudaFunction {
                    &kernels.$name
                }
            }
        };
    }

    of_kernels!(f32);
    of_kernels!(f16);
    of_kernels!(bf16);
    turns!(f32, f32, f32_f32);
    turns!(f32, f16, f32_f16);
    turns!(f16, f16, f16_f16);
    turns!(bf16, bf16, bf16_bf16);
}

impl CardKernels {
    /// Loads the kernels to the card of a stream, which all of them will run on.
    ///
    /// # Errors
    ///
    /// The driver's, if it cannot compile them for its card.
    pub fn load(stream: &Arc<CudaStream>) -> Result<Self, DriverError> {
        let context = stream.context();
        let fused = context.load_module(Ptx::from_src(FUSED))?;
        let attention = context.load_module(Ptx::from_src(PAGED_ATTENTION))?;
        let with_attention = |name: &str| {
            Ok(OfOneType {
                attention: Some(AttentionKernels::load(&attention, name)?),
                ..OfOneType::load(&fused, name)?
            })
        };
        let turned = |name: &str| fused.load_function(&format!("turned_{name}"));
        Ok(Self {
            stream: Arc::clone(stream),
            f32: OfOneType::load(&fused, "f32")?,
            f16: with_attention("f16")?,
            bf16: with_attention("bf16")?,
            f32_f32: turned("f32_f32")?,
            f32_f16: turned("f32_f16")?,
            f16_f16: turned("f16_f16")?,
            bf16_bf16: turned("bf16_bf16")?,
        })
    }

    /// Memory that a kernel will fill.
    pub(super) fn room<T: DeviceRepr>(&self, count: usize) -> Result<CudaSlice<T>, DriverError> {
        // SAFETY: each kernel writes all that it is given to write, and nobody reads it before.
        unsafe { self.stream.alloc(count) }
    }
}

impl OfOneType {
    fn load(module: &Arc<CudaModule>, name: &str) -> Result<Self, DriverError> {
        let function = |kernel: &str| module.load_function(&format!("{kernel}_{name}"));
        Ok(Self {
            masked_softmax: function("masked_softmax")?,
            gated: function("gated")?,
            added_and_normed: function("added_and_normed")?,
            attention: None,
        })
    }
}

impl AttentionKernels {
    fn load(module: &Arc<CudaModule>, name: &str) -> Result<Self, DriverError> {
        let shapes = WIDTHS.into_iter();
        let shapes = shapes.flat_map(|width| HEADS.map(|heads| (width, heads)));
        let kernels = shapes.map(|(width, heads)| {
            let function = format!("paged_attention_{name}_{width}_{heads}");
            Ok(AttentionKernel {
                width,
                heads,
                function: module.load_function(&function)?,
            })
        });
        Ok(Self {
            kernels: kernels.collect::<Result<_, DriverError>>()?,
            joined_splits: module.load_function(&format!("joined_splits_{name}"))?,
        })
    }

    /// The kernel for heads of a width, of which so many share a key head.
    pub(super) fn kernel(&self, width: usize, group: usize) -> Option<&AttentionKernel> {
        let heads = group.min(4).next_power_of_two();
        let mut kernels = self.kernels.iter();
        kernels.find(|kernel| kernel.width == width && kernel.heads == heads)
    }
}
