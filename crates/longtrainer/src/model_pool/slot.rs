//! One model's place in the table.

use std::time::Instant;

use jiff::Timestamp;

use super::residency::Resident;

/// One model's place: what it counts as, and how far it has come.
pub(super) struct Slot<M> {
    /// What the model is counted as while it cannot be asked.
    pub(super) bytes: u64,
    pub(super) state: State<M>,
}

/// How far a model has come.
pub(super) enum State<M> {
    /// Somebody loads it, without the lock.
    Loading,
    Ready(Ready<M>),
    /// Somebody drops it, without the lock; its memory is still taken.
    Unloading,
}

/// A model in memory.
pub(super) struct Ready<M> {
    pub(super) model: M,
    pub(super) leases: usize,
    pub(super) pinned: bool,
    pub(super) last_use: LastUse,
}

/// When a model was last taken or given back.
#[derive(Clone, Copy)]
pub(super) struct LastUse {
    /// Later uses have greater numbers, however coarse the clock is.
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) timestamp: Timestamp,
}

impl<M: Resident> Slot<M> {
    /// What the model takes now: caches grow.
    pub(super) fn bytes(&self) -> u64 {
        match &self.state {
            State::Ready(ready) => match ready.model.memory_bytes() {
                0 => self.bytes,
                bytes => bytes,
            },
            State::Loading | State::Unloading => self.bytes,
        }
    }
}

impl<M> Ready<M> {
    pub(super) fn is_idle(&self) -> bool {
        self.leases == 0 && !self.pinned
    }
}
