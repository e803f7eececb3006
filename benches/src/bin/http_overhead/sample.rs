//! What one way took in one round.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use longtrainer_benches::processor_seconds;
use serde_json::{Value, json};

/// Time for the threads of the way before to go to sleep, so that none of them is in the next one's way.
const REST: Duration = Duration::from_millis(300);

/// The same between two requests that are timed one by one: the engine's helpers stay awake for a moment,
/// which whoever asks again at once would find them in, and whoever comes over a connection just not.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// A stretch of work, timed.
pub(crate) struct Sample<T> {
    /// What came of it.
    pub(crate) found: T,
    seconds: f64,
    /// Cores that this process used: the engine's and the callers', or only the clients'.
    cores: Option<f64>,
}

impl<T> Sample<T> {
    /// Does the work after a rest.
    pub(crate) fn take(work: impl FnOnce() -> Result<T>) -> Result<Self> {
        thread::sleep(REST);
        let used = processor_seconds();
        let started = Instant::now();
        let found = work()?;
        let seconds = started.elapsed().as_secs_f64();
        let used = processor_seconds()
            .zip(used)
            .map(|(end, start)| end - start);
        Ok(Self {
            found,
            seconds,
            cores: used.map(|used| used / seconds),
        })
    }

    /// So many of something a second.
    pub(crate) fn rate(&self, count: usize) -> Value {
        json!({"per_second": count as f64 / self.seconds, "own_cores": self.cores})
    }
}

/// Does two things, the first one first in even rounds only.
pub(crate) fn in_turns<A, B>(
    round: usize,
    first: impl FnOnce() -> Result<A>,
    second: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    if round.is_multiple_of(2) {
        let first = first()?;
        Ok((first, second()?))
    } else {
        let second = second()?;
        Ok((first()?, second))
    }
}

/// Milliseconds with three digits that mean something.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
