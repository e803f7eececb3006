//! Why a device cannot be used.

use candle_core::{Device, Error as CandleError};

use super::details::{self, DeviceMemory};
use crate::error::ComputeError;

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceProblem {
    /// The program was built without it.
    #[error("this build has no {kind} support (feature `{feature}`)")]
    NotBuilt {
        /// What is missing.
        kind: &'static str,
        /// The feature of the build.
        feature: &'static str,
    },
    /// A library is not where the system looks for libraries.
    #[error("{library} was not found ({}): {remedy}", files.join(", "))]
    NoLibrary {
        /// What the library is.
        library: &'static str,
        /// The names that were tried.
        files: Vec<String>,
        /// What helps.
        remedy: &'static str,
    },
    /// The driver runs, and no card answers to it.
    #[error("the driver finds no card")]
    NoCard,
    /// There are cards, but none with this number.
    #[error("there is no card number {number}: this machine has {count}, counted from 0")]
    NoSuchCard {
        /// The number asked for.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// The driver cannot run what this program was built with.
    #[error("its driver is too old for this build: {problem}")]
    DriverTooOld {
        /// What the driver said.
        problem: String,
    },
    /// The program was built for other cards.
    #[error("this build has no code for a card of its generation: {problem}")]
    OtherGeneration {
        /// What the driver said.
        problem: String,
    },
    /// Others, or this program itself, have taken the memory.
    #[error("its memory is full")]
    OutOfMemory,
    /// Anything else.
    #[error("{problem}")]
    Failed {
        /// What the driver said.
        problem: String,
    },
}

/// What an error of the tensor library means for the device.
pub(crate) fn of(error: &CandleError) -> DeviceProblem {
    #[cfg(feature = "cuda")]
    if let Some(problem) = super::cuda::problem(error) {
        return problem;
    }
    DeviceProblem::Failed {
        problem: error.to_string(),
    }
}

/// A step that failed because the card had no memory left, and what it had.
#[derive(Debug, thiserror::Error)]
#[error("the memory of the device is full")]
pub(crate) struct MemoryFull {
    pub(crate) memory: Option<DeviceMemory>,
}

/// An error of a computation, told apart from others if the card's memory was full.
pub(crate) fn explained(error: CandleError, device: &Device) -> ComputeError {
    match is_out_of_memory(&error) {
        true => Box::new(MemoryFull {
            memory: details::memory(device),
        }),
        false => error.into(),
    }
}

fn is_out_of_memory(error: &CandleError) -> bool {
    #[cfg(feature = "cuda")]
    let full = super::cuda::problem(error) == Some(DeviceProblem::OutOfMemory);
    #[cfg(not(feature = "cuda"))]
    let (full, _) = (false, error);
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_memory_keeps_its_sizes_on_the_way_up() {
        let memory = DeviceMemory {
            free: 10,
            total: 100,
        };
        let full = MemoryFull {
            memory: Some(memory),
        };
        let error = crate::error::compute_failed("llama", Box::new(full));
        assert_eq!(
            error.to_string(),
            "the memory of the device is full: computing with model \"llama\" failed with 10 of 100 bytes left"
        );
        let other = crate::error::compute_failed("llama", "a shape".into());
        assert!(matches!(other, crate::Error::Compute { .. }));
    }

    #[test]
    fn other_errors_stay_what_they_are() {
        let error = explained(CandleError::Msg("a shape".to_owned()), &Device::Cpu);
        assert_eq!(error.to_string(), "a shape");
    }
}
