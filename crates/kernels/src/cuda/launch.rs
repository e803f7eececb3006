//! Sizes, checked and in the numbers that kernels count in.

use cudarc::driver::LaunchConfig;

use super::error::CardError;

/// Threads of a block, as in `common.cuh`.
pub(super) const THREADS: usize = 256;

pub(super) fn blocks(count: usize) -> Result<LaunchConfig, CardError> {
    match i32::try_from(count) {
        Ok(count) => Ok(LaunchConfig {
            grid_dim: (count.unsigned_abs(), 1, 1),
            block_dim: (THREADS as u32, 1, 1),
            shared_mem_bytes: 0,
        }),
        Err(_) => Err(CardError::TooLarge { count }),
    }
}

/// Threads are counted up to the next multiple of a block's.
pub(super) fn counted(count: usize) -> Result<u32, CardError> {
    match u32::try_from(count) {
        Ok(counted) if counted < u32::MAX - THREADS as u32 => Ok(counted),
        _ => Err(CardError::TooLarge { count }),
    }
}

/// Several sizes.
pub(super) fn all_counted<const N: usize>(sizes: [usize; N]) -> Result<[u32; N], CardError> {
    let mut all = [0; N];
    for (counted_size, size) in all.iter_mut().zip(sizes) {
        *counted_size = counted(size)?;
    }
    Ok(all)
}

pub(super) fn length(
    argument: &'static str,
    received: usize,
    expected: usize,
) -> Result<(), CardError> {
    match received == expected {
        true => Ok(()),
        false => Err(wrong_length(argument, received, expected)),
    }
}

pub(super) fn wrong_length(argument: &'static str, received: usize, expected: usize) -> CardError {
    CardError::Shape(crate::Error::Length {
        argument,
        expected,
        received,
    })
}

/// That something is a multiple of what is not zero, and not zero itself: a grid of no blocks is none.
pub(super) fn multiple(
    argument: &'static str,
    received: usize,
    dimension: usize,
) -> Result<(), CardError> {
    match received > 0 && dimension > 0 && received.is_multiple_of(dimension) {
        true => Ok(()),
        false => Err(crate::Error::PartialVector {
            argument,
            dimension,
            received,
        }
        .into()),
    }
}
