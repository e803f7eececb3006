//! What happened so far.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use longtrainer_benches::resident_memory;

/// Complaints that are kept; one defect can cause thousands.
const KEPT: usize = 20;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a whole answer.
    Done,
    /// Its reader left.
    Cancelled,
    /// The queue was full.
    Refused,
    /// It was wrong, and told so.
    Rejected,
    /// With an error that should not have been.
    Failed,
}

/// Counts, complaints, and since when each client has been waiting.
#[derive(Debug)]
pub(crate) struct Tally {
    started: Instant,
    endings: [AtomicUsize; 5],
    running: AtomicUsize,
    repeated: AtomicUsize,
    tokens: AtomicUsize,
    /// Milliseconds from the start to the last sign of life of a client's request, plus 1; 0 if the
    /// client has none.
    waiting: Vec<AtomicU64>,
    complaints: Mutex<Vec<String>>,
}

impl Tally {
    pub(crate) fn new(clients: usize) -> Self {
        Self {
            started: Instant::now(),
            endings: Default::default(),
            running: AtomicUsize::new(0),
            repeated: AtomicUsize::new(0),
            tokens: AtomicUsize::new(0),
            waiting: (0..clients).map(|_| AtomicU64::new(0)).collect(),
            complaints: Mutex::default(),
        }
    }

    /// A client begins a request.
    pub(crate) fn begin(&self, client: usize) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.sign_of_life(client);
    }

    /// A client's request moves on.
    pub(crate) fn sign_of_life(&self, client: usize) {
        let now = self.started.elapsed().as_millis() as u64 + 1;
        self.waiting[client].store(now, Ordering::Relaxed);
    }

    /// A client's request has ended.
    pub(crate) fn end(&self, client: usize, ending: Ending, tokens: usize) {
        self.waiting[client].store(0, Ordering::Relaxed);
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.endings[ending as usize].fetch_add(1, Ordering::Relaxed);
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    /// A repeated question got the answer that it always got.
    pub(crate) fn count_repeated(&self) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that have ended.
    #[cfg(test)]
    pub(crate) fn ended(&self) -> usize {
        let endings = self.endings.iter();
        endings.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// How long the client that waits longest has heard nothing.
    pub(crate) fn longest_silence(&self) -> Option<Duration> {
        let last_signs = self.waiting.iter().map(|last| last.load(Ordering::Relaxed));
        let oldest = last_signs.filter(|last| *last > 0).min()?;
        let now = self.started.elapsed();
        Some(now.saturating_sub(Duration::from_millis(oldest)))
    }

    /// Notes what must not be.
    pub(crate) fn complain(&self, complaint: String) {
        let mut complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if complaints.len() < KEPT {
            complaints.push(complaint);
        }
    }

    /// The first complaints.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        complaints.clone()
    }

    /// The line of a minute.
    pub(crate) fn print(&self, model_bytes: usize) {
        let count = |ending: Ending| self.endings[ending as usize].load(Ordering::Relaxed);
        let resident = resident_memory().map_or("unknown".to_owned(), megabytes);
        println!(
            "{:>5} s: memory {resident} (model {}), running {}, done {} ({} repeated alike, {} tokens), \
             cancelled {}, refused {}, rejected {}, failed {}",
            self.started.elapsed().as_secs(),
            megabytes(model_bytes as u64),
            self.running.load(Ordering::Relaxed),
            count(Ending::Done),
            self.repeated.load(Ordering::Relaxed),
            self.tokens.load(Ordering::Relaxed),
            count(Ending::Cancelled),
            count(Ending::Refused),
            count(Ending::Rejected),
            count(Ending::Failed),
        );
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
