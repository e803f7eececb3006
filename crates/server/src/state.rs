//! What all handlers share, and the one way by which they call the facade.

use std::sync::Arc;

use longtrainer::{Admission, KeyRecord, LongTrainer, TenantId};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::RateLimits;
use crate::api_error::ApiError;
use crate::options::ServerOptions;

/// Files read at once: parsing is bound by the processor, and a large file by memory.
const INGESTIONS_AT_ONCE: usize = 2;

/// What all handlers share. Clones are cheap.
#[derive(Clone)]
pub(crate) struct AppState {
    /// As the sender of a request sees it; the owner's view where no request is concerned.
    trainer: LongTrainer,
    /// What the server was told.
    pub(crate) options: Arc<ServerOptions>,
    /// Cancelled when answers that still run must end.
    pub(crate) stop_answers: CancellationToken,
    /// What the server waits for before it ends: jobs, and cancelled turns that are being stored.
    pub(crate) tasks: TaskTracker,
    /// Held by a job while it reads a file.
    pub(crate) ingestions: Arc<Semaphore>,
    /// How often each key may ask.
    pub(crate) rate_limits: Arc<RateLimits>,
}

impl AppState {
    pub(crate) fn new(trainer: LongTrainer, options: ServerOptions) -> Self {
        let rate_limits = RateLimits::new(options.requests_per_minute);
        Self {
            trainer,
            rate_limits: Arc::new(rate_limits),
            options: Arc::new(options),
            stop_answers: CancellationToken::new(),
            tasks: TaskTracker::new(),
            ingestions: Arc::new(Semaphore::new(INGESTIONS_AT_ONCE)),
        }
    }

    /// The same for a tenant, who sees its own alone.
    pub(crate) fn for_tenant(&self, tenant: &TenantId) -> Result<Self, ApiError> {
        Ok(Self {
            trainer: self.trainer.for_tenant(tenant)?,
            ..self.clone()
        })
    }

    /// Whether requests need a key.
    pub(crate) fn keys_are_on(&self) -> bool {
        self.options.require_keys || self.trainer.has_keys()
    }

    /// Whether a key is good. It reads memory only.
    pub(crate) fn admission(&self, key: &str) -> Admission {
        self.trainer.admission(key)
    }

    /// Has the use of a key written down, now and then, while its request goes on.
    pub(crate) fn note_key_use(&self, key: &KeyRecord) {
        if !self.trainer.key_use_is_due(key) {
            return;
        }
        let (trainer, key_id) = (self.trainer.clone(), key.key_id.clone());
        self.tasks.spawn_blocking(move || {
            if let Err(error) = trainer.note_key_use(&key_id) {
                tracing::warn!(key_id, %error, "the use of a key could not be noted");
            }
        });
    }

    /// Calls the facade on a thread that may block. The call runs to its end even if the client
    /// leaves meanwhile: a build or a deletion is not left half-way.
    pub(crate) async fn call<T, E, F>(&self, call: F) -> Result<T, ApiError>
    where
        F: FnOnce(&LongTrainer) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let trainer = self.trainer.clone();
        tokio::task::spawn_blocking(move || call(&trainer))
            .await?
            .map_err(Into::into)
    }
}
