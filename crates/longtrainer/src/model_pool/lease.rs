//! A model in somebody's hands.

use std::ops::Deref;
use std::sync::Arc;

use super::key::ModelKey;

/// Whoever counts the leases; the lease need not know what kinds of models are counted there.
pub(super) trait CountLeases: Send + Sync {
    /// The last clone of a lease is gone, and what it held of the model went before it.
    fn release(&self, key: &ModelKey);
}

/// A model that stays loaded for as long as any clone of this lives.
#[derive(Clone)]
pub(crate) struct Lease<M> {
    // Dropped first, so that a model nobody leases is held by nobody but the residency.
    model: M,
    hold: Arc<Hold>,
}

/// Tells the residency when it goes.
struct Hold {
    counter: Arc<dyn CountLeases>,
    key: ModelKey,
}

impl<M> Lease<M> {
    pub(super) fn new(model: M, counter: Arc<dyn CountLeases>, key: ModelKey) -> Self {
        let hold = Arc::new(Hold { counter, key });
        Self { model, hold }
    }

    /// The model. It must not outlive the lease by much.
    pub(super) fn inner(&self) -> &M {
        &self.model
    }

    /// The same lease, of another view of the model.
    pub(super) fn try_map<N, E>(self, view: impl FnOnce(M) -> Result<N, E>) -> Result<Lease<N>, E> {
        let Self { model, hold } = self;
        let model = view(model)?;
        Ok(Lease { model, hold })
    }
}

impl<T: ?Sized> Deref for Lease<Arc<T>> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.model
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.counter.release(&self.key);
    }
}
