//! Where a model runs: the processor, an NVIDIA card or an Apple card.
//!
//! A device that was asked for by name is used or refused, never silently replaced. Only `auto` may
//! choose, and [`SelectedDevice::why`] says what it chose and for which reason.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use crate::{Error, Result};

/// The device that a person asks for: `cpu`, `cuda`, `cuda:N`, `metal` or `auto`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The processor.
    Cpu,
    /// The NVIDIA card with this number; `cuda` alone means the first, number 0.
    Cuda(usize),
    /// The Apple graphics card.
    Metal,
    /// The first that works of CUDA, Metal and the processor.
    #[default]
    Auto,
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let unknown = || Error::UnknownDevice {
            name: name.to_owned(),
        };
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            "auto" => Ok(Self::Auto),
            _ => {
                let number = name.strip_prefix("cuda:").ok_or_else(unknown)?;
                number.parse().map(Self::Cuda).map_err(|_| unknown())
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(number) => write!(formatter, "cuda:{number}"),
            Self::Metal => formatter.write_str("metal"),
            Self::Auto => formatter.write_str("auto"),
        }
    }
}

/// A device that was found and opened.
#[derive(Debug, Clone)]
pub struct SelectedDevice {
    device: Device,
    name: String,
    why: String,
}

impl SelectedDevice {
    /// The name: `cpu`, `cuda:0`, `metal`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why this one, in words for a person.
    pub fn why(&self) -> &str {
        &self.why
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    fn new(device: Device, choice: DeviceChoice, why: impl Into<String>) -> Self {
        Self {
            device,
            name: choice.to_string(),
            why: why.into(),
        }
    }
}

impl Default for SelectedDevice {
    fn default() -> Self {
        Self::new(Device::Cpu, DeviceChoice::Cpu, "no other was asked for")
    }
}

/// Opens the device asked for.
///
/// # Errors
///
/// [`Error::DeviceUnavailable`] when the device was named and cannot be used. `auto` never fails.
pub fn select_device(choice: DeviceChoice) -> Result<SelectedDevice> {
    let selected = match choice {
        DeviceChoice::Auto => select_automatically(),
        named => {
            let device = open(named).map_err(|reason| Error::DeviceUnavailable {
                device: named.to_string(),
                reason,
            })?;
            SelectedDevice::new(device, named, "it was asked for")
        }
    };
    tracing::info!(
        device = selected.name(),
        why = selected.why(),
        "device selected"
    );
    Ok(selected)
}

fn select_automatically() -> SelectedDevice {
    let mut refusals = Vec::new();
    for choice in [DeviceChoice::Cuda(0), DeviceChoice::Metal] {
        match open(choice) {
            Ok(device) => return SelectedDevice::new(device, choice, "it is the fastest found"),
            Err(reason) => refusals.push(format!("{choice}: {reason}")),
        }
    }
    SelectedDevice::new(Device::Cpu, DeviceChoice::Cpu, refusals.join("; "))
}

fn open(choice: DeviceChoice) -> Result<Device, String> {
    match choice {
        DeviceChoice::Cpu | DeviceChoice::Auto => Ok(Device::Cpu),
        DeviceChoice::Cuda(_) if !cfg!(feature = "cuda") => {
            Err("this build has no CUDA support (feature `cuda`)".to_owned())
        }
        DeviceChoice::Metal if !cfg!(feature = "metal") => {
            Err("this build has no Metal support (feature `metal`)".to_owned())
        }
        DeviceChoice::Cuda(number) => guarded(move || Device::new_cuda(number)),
        DeviceChoice::Metal => guarded(|| Device::new_metal(0)),
    }
}

/// A driver library that is missing at run time can end in a panic inside its bindings.
fn guarded(
    open: impl FnOnce() -> candle_core::Result<Device> + std::panic::UnwindSafe,
) -> Result<Device, String> {
    match std::panic::catch_unwind(open) {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(_) => Err("its driver could not be loaded".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["cpu", "cuda:0", "cuda:3", "metal", "auto"] {
            let choice: DeviceChoice = name.parse().unwrap();
            assert_eq!(choice.to_string(), name);
        }
        assert_eq!(
            "cuda".parse::<DeviceChoice>().unwrap(),
            DeviceChoice::Cuda(0)
        );
    }

    #[test]
    fn unknown_names_are_refused() {
        for name in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "cpu:0"] {
            let error = name.parse::<DeviceChoice>().unwrap_err();
            assert!(matches!(error, Error::UnknownDevice { .. }), "{name}");
        }
    }

    #[test]
    fn auto_says_why() {
        let selected = select_device(DeviceChoice::Auto).unwrap();
        assert!(!selected.why().is_empty());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_in_a_cpu_build_is_an_error() {
        let error = select_device(DeviceChoice::Cuda(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "device cuda:1 is not available: this build has no CUDA support (feature `cuda`)"
        );
    }
}
