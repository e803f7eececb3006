//! What this machine can do at best: bytes read from memory and operations a second.
//!
//! A rate of tokens says little by itself. Beside the rate at which the same threads read memory, or
//! multiply numbers that are in registers already, it says how much of the machine a kernel uses.
//! These peaks are measured, not read from a data sheet: what a virtual machine is given of a bus,
//! and the clock under wide vectors, stand in none.

mod bandwidth;
mod integer;
mod multiply_add;
#[cfg(test)]
mod tests;
mod timing;

use crate::Team;
use crate::isa::Supported;

/// Bytes a second that the team reads from memory: the best of several passes over a buffer of 512
/// MiB, which no usual cache holds. Takes a third of a second.
pub fn read_bandwidth(team: &Team) -> f64 {
    bandwidth::measure(Supported::active(), team, bandwidth::BUFFER_BYTES)
}

/// f32 operations a second that the team does in fused multiplications and additions of the tier in
/// use, each of which counts as two. AMX has none of f32, so with it this is AVX-512's rate. Takes some
/// hundredths of a second.
pub fn multiply_add_rate(team: &Team) -> f64 {
    multiply_add::measure(Supported::active(), team, timing::ROUND)
}

/// Operations a second that the team does on bytes: products of 8-bit numbers and their sums, each
/// product counting as two, by the instructions of the tier in use. Takes some hundredths of a second.
pub fn integer_rate(team: &Team) -> f64 {
    integer::measure(Supported::active(), team, timing::ROUND)
}
