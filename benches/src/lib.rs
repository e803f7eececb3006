//! What the benchmarks share: medians, the memory of a process, the flags of an engine, a client of HTTP.

mod engine_flags;
mod http_client;
mod http_message;
mod memory_log;
mod precision_flag;

use std::time::{Duration, Instant};

pub use engine_flags::EngineFlags;
pub use http_client::{HttpClient, Pieces};
pub use http_message::{Asked, Reply};
pub use memory_log::MemoryLog;
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

/// The processor time of this process so far, in seconds, where the system tells (Linux).
pub fn processor_seconds() -> Option<f64> {
    // Linux tells it in hundredths of a second on every machine.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program comes in brackets and may have spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}
