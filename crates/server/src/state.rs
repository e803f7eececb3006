//! What all handlers share, and the one way by which they call the facade.

use std::sync::Arc;

use longtrainer::LongTrainer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api_error::ApiError;
use crate::job_runner::JobSlots;
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::readiness::Readiness;

/// What all handlers share. Clones are cheap.
#[derive(Clone)]
pub(crate) struct AppState {
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
}

impl AppState {
    pub(crate) fn new(trainer: LongTrainer, options: ServerOptions) -> Self {
        Self {
            metrics: Metrics::of(trainer.clone()),
            readiness: Arc::default(),
            trainer,
            options: Arc::new(options),
            stop_answers: CancellationToken::new(),
            tasks: TaskTracker::new(),
            jobs: JobSlots::default(),
        }
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
