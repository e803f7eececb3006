//! Where a model runs: the processor, an NVIDIA card or an Apple card.
//!
//! A device that was asked for by name is used or refused, never silently replaced. Only `auto` may
//! choose, and [`SelectedDevice::why`] says what it chose and for which reason.

#[cfg(feature = "cuda")]
mod cuda;
mod details;
mod problem;
mod rates;

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

pub use details::{DeviceDetails, DeviceMemory};
pub use problem::DeviceProblem;
pub(crate) use problem::{MemoryFull, explained};
pub use rates::DeviceRates;

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

    /// What the card says of itself; `None` for the processor, and where nothing is said.
    pub fn details(&self) -> Option<DeviceDetails> {
        details::of(&self.device)
    }

    /// Memory of the card at this moment, whoever has taken it; `None` where it does not say.
    pub fn memory(&self) -> Option<DeviceMemory> {
        details::memory(&self.device)
    }

    /// Waits until the card has done what it was told: work is only queued by the calls that ask for it.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceUnavailable`] when the card has failed meanwhile.
    pub fn synchronise(&self) -> Result<()> {
        let done = self.device.synchronize();
        done.map_err(|error| Error::DeviceUnavailable {
            device: self.name.clone(),
            reason: problem::of(&error),
        })
    }

    /// That a card has memory left for the weights of a model. What the processor has is the system's affair.
    pub(crate) fn check_room(&self, model: &str, needed: u64) -> Result<()> {
        match self.memory() {
            Some(memory) if needed > memory.free => Err(Error::TooLargeForDevice {
                model: model.to_owned(),
                device: self.name.clone(),
                needed,
                free: memory.free,
                total: memory.total,
            }),
            _ => Ok(()),
        }
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

/// What this build could run on, whether or not the machine has it.
pub fn built_devices() -> Vec<&'static str> {
    let built = [
        ("cpu", true),
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
    ];
    let names = built.into_iter().filter(|(_, is_built)| *is_built);
    names.map(|(name, _)| name).collect()
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

fn open(choice: DeviceChoice) -> Result<Device, DeviceProblem> {
    match choice {
        DeviceChoice::Cpu | DeviceChoice::Auto => Ok(Device::Cpu),
        DeviceChoice::Cuda(number) => open_cuda(number),
        DeviceChoice::Metal => open_metal(),
    }
}

#[cfg(feature = "cuda")]
fn open_cuda(number: usize) -> Result<Device, DeviceProblem> {
    cuda::open(number)
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_number: usize) -> Result<Device, DeviceProblem> {
    Err(DeviceProblem::NotBuilt {
        kind: "CUDA",
        feature: "cuda",
    })
}

fn open_metal() -> Result<Device, DeviceProblem> {
    if !cfg!(feature = "metal") {
        return Err(DeviceProblem::NotBuilt {
            kind: "Metal",
            feature: "metal",
        });
    }
    guarded(|| Device::new_metal(0))
}

/// A library that is missing at run time can end in a panic inside its bindings.
fn guarded(
    open: impl FnOnce() -> candle_core::Result<Device> + std::panic::UnwindSafe,
) -> Result<Device, DeviceProblem> {
    match std::panic::catch_unwind(open) {
        Ok(opened) => opened.map_err(|error| problem::of(&error)),
        Err(_) => Err(DeviceProblem::Failed {
            problem: "its bindings gave up".to_owned(),
        }),
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

    #[test]
    fn the_processor_has_no_card_to_tell_of() {
        let processor = select_device(DeviceChoice::Cpu).unwrap();
        assert_eq!(processor.name(), "cpu");
        assert_eq!(processor.details(), None);
        assert_eq!(processor.memory(), None);
        processor.synchronise().unwrap();
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_in_a_cpu_build_is_an_error() {
        let error = select_device(DeviceChoice::Cuda(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "device cuda:1 is not available: this build has no CUDA support (feature `cuda`)"
        );
        assert!(!built_devices().contains(&"cuda"));
    }

    /// On a machine without a driver. On one with a card there is nothing to see here.
    #[cfg(feature = "cuda")]
    #[test]
    fn a_cuda_build_without_a_driver_says_so_and_computes_on_the_processor() {
        let Err(error) = select_device(DeviceChoice::Cuda(0)) else {
            return;
        };
        let Error::DeviceUnavailable { device, reason } = &error else {
            panic!("{error}");
        };
        assert_eq!(device, "cuda:0");
        let selected = select_device(DeviceChoice::Auto).unwrap();
        if cfg!(not(feature = "metal")) {
            assert_eq!(selected.name(), "cpu");
        }
        let told = format!("cuda:0: {reason}");
        assert!(selected.why().contains(&told), "{}", selected.why());
        if let DeviceProblem::NoLibrary { library, .. } = reason {
            assert_eq!(*library, "the CUDA driver");
        }
        assert!(built_devices().contains(&"cuda"));
    }

    /// On a machine with cards.
    #[cfg(feature = "cuda")]
    #[test]
    fn a_card_that_is_not_there_is_counted_out() {
        if select_device(DeviceChoice::Cuda(0)).is_err() {
            return;
        }
        let error = select_device(DeviceChoice::Cuda(999)).unwrap_err();
        let Error::DeviceUnavailable { reason, .. } = error else {
            panic!("{error}");
        };
        assert!(matches!(
            reason,
            DeviceProblem::NoSuchCard { number: 999, .. }
        ));
    }
}
