//! What all handlers share, and the one way by which they call the facade.

use std::sync::Arc;

use longtrainer::{Admission, KeyRecord, LongTrainer, TenantId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::RateLimits;
use crate::api_error::ApiError;
use crate::job_runner::JobSlots;
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::readiness::Readiness;

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
    /// Held by jobs at work.
    pub(crate) jobs: JobSlots,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// What `/ready` tells.
    pub(crate) readiness: Arc<Readiness>,
    /// How often each key may ask.
    pub(crate) rate_limits: Arc<RateLimits>,
}

impl AppState {
    pub(crate) fn new(trainer: LongTrainer, options: ServerOptions) -> Self {
        let rate_limits = RateLimits::new(options.requests_per_minute);
        Self {
            metrics: Metrics::of(trainer.clone()),
            readiness: Arc::default(),
            trainer,
            rate_limits: Arc::new(rate_limits),
            options: Arc::new(options),
            stop_answers: CancellationToken::new(),
            tasks: TaskTracker::new(),
            jobs: JobSlots::default(),
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
        // What is logged meanwhile belongs to the request.
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| call(&trainer)))
            .await?
            .map_err(Into::into)
    }
}
