//! Whether memory stops growing.
//!
//! A cache is filled first, so the first half is not looked at. Of what follows, the two
//! halves are compared by their medians: single moments differ by what runs just then.

use std::time::Instant;

use crate::median;

/// What the second median may be above the first: a share of it, and bytes.
const ALLOWED: (f64, u64) = (0.03, 16 << 20);

/// Samples below which nothing is said.
const LEAST: usize = 40;

/// The memory of a process, a sample at a time.
#[derive(Debug)]
pub struct MemoryLog {
    /// Clients stop here; what is freed as they end is no answer to the question.
    end: Instant,
    samples: Vec<u64>,
}

impl MemoryLog {
    /// A log that takes samples until `end`.
    pub fn new(end: Instant) -> Self {
        Self {
            end,
            samples: Vec::new(),
        }
    }

    /// Takes a sample.
    pub fn note(&mut self, bytes: Option<u64>) {
        if Instant::now() < self.end {
            self.samples.extend(bytes);
        }
    }

    /// What is wrong.
    pub fn complaint(&self) -> Option<String> {
        if self.samples.len() < LEAST {
            return None;
        }
        let (_, settled) = self.samples.split_at(self.samples.len() / 2);
        let (before, after) = settled.split_at(settled.len() / 2);
        let (before, after) = (median(before.to_vec()), median(after.to_vec()));
        let most = before + (before as f64 * ALLOWED.0) as u64 + ALLOWED.1;
        (after > most).then(|| {
            format!("memory grew from {before} to {after} bytes between the last two quarters")
        })
    }
}
