//! How much memory the keys and values of all requests take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are in use, all of a model's caches and blocks together.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryCounter(Arc<AtomicUsize>);

/// Some of these bytes, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    counter: MemoryCounter,
    bytes: usize,
}

impl MemoryCounter {
    /// Bytes in use at this moment.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts so many bytes.
    pub(super) fn hold(&self, bytes: usize) -> Held {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Held {
            counter: self.clone(),
            bytes,
        }
    }
}

impl Held {
    /// Where else to count.
    pub(super) fn counter(&self) -> &MemoryCounter {
        &self.counter
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counter.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
