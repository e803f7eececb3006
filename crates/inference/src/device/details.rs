//! What a card says of itself.

use candle_core::Device;

/// What a card says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceDetails {
    /// Its product name.
    pub name: String,
    /// Its generation, as NVIDIA numbers them: `9.0`. `None` for other makers.
    pub compute_capability: Option<String>,
}

/// Memory of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// Bytes that this process may still take: those that nobody has taken, and those that it has given back and keeps
    /// for its next use.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

pub(super) fn of(device: &Device) -> Option<DeviceDetails> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => super::cuda::details(device),
        _ => None,
    }
}

pub(super) fn memory(device: &Device) -> Option<DeviceMemory> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => super::cuda::memory(device),
        _ => None,
    }
}
