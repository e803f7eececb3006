//! What lies between the products of a block: kernels of our own on NVIDIA cards, Candle's operators elsewhere.
//!
//! Small kernels cost a card less than to be told of them, and scores go through its memory once for each. So on a card
//! what one of these functions does is one kernel (`cuda` of the kernels). Each also has a plain version for the
//! processor, by which the suites try all that is around it. Candle's operators are what runs elsewhere, and where the
//! kernels are turned off or found to be wrong when a model is loaded.

mod attention;
#[cfg(feature = "cuda")]
mod card;
#[cfg(any(test, feature = "cuda"))]
mod check;
mod gate;
mod plain;
mod softmax;
mod sum;
mod turn;

use candle_core::Device;

pub(super) use attention::Lookers;
pub(super) use softmax::{Scored, Seen};

/// Whether and how what lies between products is done in one.
#[derive(Debug, Clone, Default)]
pub(super) struct Fused {
    is_on: bool,
    #[cfg(feature = "cuda")]
    kernels: Option<longtrainer_kernels::CardKernels>,
}

impl Fused {
    /// As it is done on a device.
    pub(super) fn on(device: &Device) -> Self {
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => card::fused(device),
            _ => Self::default(),
        }
    }

    /// By the plain versions.
    #[cfg(any(test, feature = "cuda"))]
    pub(super) fn on_processor() -> Self {
        Self {
            is_on: true,
            #[cfg(feature = "cuda")]
            kernels: None,
        }
    }

    /// Whether anything is done in one: then tokens know what they may see without a mask.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }
}
