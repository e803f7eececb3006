//! Reading a large buffer from memory, all threads at once.

use std::hint::black_box;
use std::time::Instant;

use crate::Team;
use crate::aligned::Aligned;
use crate::isa::Supported;
use crate::simd::{Kernel, Simd};

/// The buffer: much larger than the caches of most machines.
pub(super) const BUFFER_BYTES: usize = 512 << 20;
/// Passes over it; the best counts, because whatever disturbs a pass makes it slower.
const PASSES: usize = 5;
/// Values of a task: long enough for the hardware's prefetching, short enough to share out evenly.
pub(super) const RUN: usize = 256 << 10;
/// Vectors that are summed side by side, so that no sum waits for the one before.
const CHAINS: usize = 8;

/// Bytes a second of reading a buffer of `bytes`.
pub(super) fn measure(cpu: Supported, team: &Team, bytes: usize) -> f64 {
    let values = touched(team, bytes / size_of::<f32>());
    let mut best = 0.0f64;
    for _ in 0..PASSES {
        let started = Instant::now();
        black_box(pass(cpu, team, &values));
        let seconds = started.elapsed().as_secs_f64();
        best = best.max(size_of_val::<[f32]>(&values) as f64 / seconds);
    }
    best
}

/// Reads all values once: the sums of the runs.
pub(super) fn pass(cpu: Supported, team: &Team, values: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; values.len().div_ceil(RUN)];
    team.for_rows(&mut sums, 1, 1, |first, sums| {
        let runs = values[first * RUN..].chunks(RUN);
        for (sum, values) in sums.iter_mut().zip(runs) {
            *sum = cpu.run(Sum { values });
        }
    });
    sums
}

/// A buffer in memory of its own: before they are written to, all its pages are one and the same.
pub(super) fn touched(team: &Team, length: usize) -> Aligned<f32> {
    let mut values = Aligned::zeros(length);
    team.for_rows(&mut values, RUN, 1, |_, run| run.fill(1.0));
    let whole = length - length % RUN;
    values[whole..].fill(1.0);
    values
}

/// The sum of whole groups of vectors; a rest that is no group is not read.
struct Sum<'a> {
    values: &'a [f32],
}

impl Kernel for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.zero(); CHAINS];
        for group in self.values.chunks_exact(CHAINS * S::LANES) {
            for (chain, sum) in sums.iter_mut().enumerate() {
                // SAFETY: a group has CHAINS vectors of LANES values.
                let vector = unsafe { simd.load(group.as_ptr().add(chain * S::LANES)) };
                *sum = simd.add(*sum, vector);
            }
        }
        let mut total = 0.0;
        for sum in sums {
            total += simd.sum(sum);
        }
        total
    }
}
