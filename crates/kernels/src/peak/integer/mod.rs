//! Products of bytes that are in registers, and their sums: what multiplying quantised weights
//! takes. The instruction is another one in each tier, so each has its own file.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use std::hint::black_box;
use std::time::Duration;

use crate::Team;
#[cfg(target_arch = "x86_64")]
use crate::amx::with_tile_unit;
use crate::isa::Supported;

use super::timing::steps_a_second;

/// Operations a second, with rounds of this length.
pub(super) fn measure(cpu: Supported, team: &Team, round: Duration) -> f64 {
    let steps = steps_a_second(team, round, |steps| {
        black_box(sum(cpu, steps));
    });
    steps * (2 * products(cpu)) as f64
}

/// Products of a step.
fn products(cpu: Supported) -> usize {
    match cpu {
        Supported::Scalar => scalar::PRODUCTS,
        #[cfg(target_arch = "x86_64")]
        Supported::Avx2(_) => avx2::PRODUCTS,
        #[cfg(target_arch = "x86_64")]
        Supported::Avx512(proof) if proof.amx().is_some() => amx::PRODUCTS,
        #[cfg(target_arch = "x86_64")]
        Supported::Avx512(_) => avx512::PRODUCTS,
    }
}

/// Does the steps; the number returned depends on all of them.
fn sum(cpu: Supported, steps: usize) -> i32 {
    match cpu {
        Supported::Scalar => scalar::sum(steps),
        #[cfg(target_arch = "x86_64")]
        Supported::Avx2(proof) => avx2::sum(proof, steps),
        #[cfg(target_arch = "x86_64")]
        Supported::Avx512(proof) => match proof.amx() {
            Some(tiles) => with_tile_unit!(tiles, unit => amx::sum(unit, steps)),
            None => avx512::sum(proof, steps),
        },
    }
}
