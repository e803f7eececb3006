//! The checks that every family makes before it touches a value: do the slices fit together?
//!
//! They are the only place where lengths are compared, so that kernels may rely on them and every
//! misfit is reported in the same words.

use crate::{Error, Result};

/// That `argument` has the length that the others call for.
pub(crate) fn require_length(
    argument: &'static str,
    expected: usize,
    received: usize,
) -> Result<()> {
    match expected == received {
        true => Ok(()),
        false => Err(Error::Length {
            argument,
            expected,
            received,
        }),
    }
}

/// How many vectors of `dimension` values `received` values are; no values are no vectors.
pub(crate) fn require_rows(
    argument: &'static str,
    dimension: usize,
    received: usize,
) -> Result<usize> {
    if received == 0 {
        return Ok(0);
    }
    match received.checked_rem(dimension) {
        Some(0) => Ok(received / dimension),
        _ => Err(Error::PartialVector {
            argument,
            dimension,
            received,
        }),
    }
}
