//! The device that comparisons of models and of searches run on: the processor, or what
//! `LONGTRAINER_TEST_DEVICE` names (`cuda`, `cuda:1`, `metal`).

use crate::{SelectedDevice, select_device};

/// What the tests were told to run on.
///
/// # Panics
///
/// If it is not here: a comparison on another device than was asked for would prove nothing.
pub(crate) fn device() -> SelectedDevice {
    let name = std::env::var("LONGTRAINER_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    select_device(name.parse().unwrap()).unwrap()
}
