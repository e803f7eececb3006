//! Multiplications and additions of f32 that are in registers.
//!
//! A processor does several at once, and each takes some cycles: it takes independent chains to keep
//! it busy. How many chains hide the latency and still fit in the registers differs from tier to
//! tier, so a few numbers are tried and the best counts.

use std::hint::black_box;
use std::time::Duration;

use crate::Team;
use crate::isa::Supported;
use crate::simd::{Kernel, Simd};

use super::timing::steps_a_second;

/// Operations a second, with rounds of this length.
pub(super) fn measure(cpu: Supported, team: &Team, round: Duration) -> f64 {
    let rates = [
        rate::<4>(cpu, team, round),
        rate::<8>(cpu, team, round),
        rate::<12>(cpu, team, round),
    ];
    rates.into_iter().fold(0.0, f64::max)
}

fn rate<const CHAINS: usize>(cpu: Supported, team: &Team, round: Duration) -> f64 {
    let steps = steps_a_second(team, round, |steps| {
        black_box(cpu.run(Chains::<CHAINS> { steps }));
    });
    steps * cpu.run(Operations::<CHAINS>)
}

/// Operations of a step.
struct Operations<const CHAINS: usize>;

impl<const CHAINS: usize> Kernel for Operations<CHAINS> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        (2 * CHAINS * S::LANES) as f64
    }
}

/// Steps of `x = x / 2 + 1` in each chain: x goes to 2, away from slow denormal numbers.
struct Chains<const CHAINS: usize> {
    steps: usize,
}

impl<const CHAINS: usize> Kernel for Chains<CHAINS> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        // Hidden from the compiler, which would know the result or join equal chains.
        let factor = simd.splat(black_box(0.5));
        let addend = simd.splat(black_box(1.0));
        let mut chains = [simd.zero(); CHAINS];
        for (number, chain) in chains.iter_mut().enumerate() {
            *chain = simd.splat(black_box(number as f32));
        }
        for _ in 0..self.steps {
            for chain in &mut chains {
                *chain = simd.mul_add(*chain, factor, addend);
            }
        }
        let mut total = 0.0;
        for chain in chains {
            total += simd.sum(chain);
        }
        total
    }
}
