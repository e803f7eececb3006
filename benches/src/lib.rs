//! What the benchmarks share: medians, the memory of a process, the flags of an engine.

mod engine_flags;
mod precision_flag;

use std::time::{Duration, Instant};

pub use engine_flags::EngineFlags;
pub use precision_flag::PrecisionFlag;

/// Runs `work` once to warm up and then `runs` times; the median of the times.
pub fn median_time<E>(runs: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    work()?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let started = Instant::now();
        work()?;
        times.push(started.elapsed());
    }
    Ok(median(times))
}

/// The middle value; of an even number the greater of the two in the middle.
pub fn median<T: Ord + Copy + Default>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The most memory this process has held at once, in bytes, where the system tells (Linux).
pub fn peak_memory() -> Option<u64> {
    own_memory("VmHWM:")
}

/// The memory that this process holds now, in bytes, where the system tells (Linux).
pub fn resident_memory() -> Option<u64> {
    own_memory("VmRSS:")
}

fn own_memory(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
