//! Models that come and go: what must happen to their place however that ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::key::ModelKey;
use super::residency::{Resident, Shared};

/// The task of loading a model. Gone without success, by an error or a panic, it leaves no trace.
pub(super) struct Claim<'a, M: Resident> {
    shared: &'a Shared<M>,
    pub(super) key: &'a ModelKey,
    fulfilled: bool,
}

impl<'a, M: Resident> Claim<'a, M> {
    pub(super) fn new(shared: &'a Shared<M>, key: &'a ModelKey) -> Self {
        Self {
            shared,
            key,
            fulfilled: false,
        }
    }

    /// Shows the model to everybody, leased once by the caller.
    pub(super) fn fulfil(mut self, model: M) {
        self.fulfilled = true;
        self.shared.put(self.key, model);
    }
}

impl<M: Resident> Drop for Claim<'_, M> {
    fn drop(&mut self) {
        if !self.fulfilled {
            self.shared.vacate(self.key);
        }
    }
}

/// A model on its way out. Its memory is given up first, and counted as free then.
pub(super) struct Leaving<'a, M: Resident> {
    model: M,
    slot: LeavingSlot<'a, M>,
}

struct LeavingSlot<'a, M: Resident> {
    shared: &'a Shared<M>,
    key: ModelKey,
}

impl<'a, M: Resident> Leaving<'a, M> {
    pub(super) fn new(shared: &'a Shared<M>, key: ModelKey, model: M) -> Self {
        let slot = LeavingSlot { shared, key };
        Self { model, slot }
    }

    /// Drops the model, which waits for its threads. If it panics on its way out, that is no matter
    /// of whoever needed the room.
    pub(super) fn unload(self, reason: &'static str) {
        let Self { model, slot } = self;
        let (name, role) = (&slot.key.name, slot.key.role);
        tracing::info!(model = name, %role, reason, "unloading");
        if catch_unwind(AssertUnwindSafe(|| drop(model))).is_err() {
            tracing::error!(model = name, %role, "panicked while it was unloaded");
        }
        drop(slot);
    }
}

impl<M: Resident> Drop for LeavingSlot<'_, M> {
    fn drop(&mut self) {
        self.shared.vacate(&self.key);
    }
}
