//! Doing jobs: a few at a time, each on a thread that may block.

use std::sync::Arc;

use longtrainer::{ErrorKind, JobRecord};
use tokio::sync::Semaphore;

use crate::state::AppState;

/// Jobs at work at once: parsing and embedding are bound by the processor, and a large file by memory.
const AT_ONCE: usize = 2;
/// Models fetched at once. They wait for the network, so they keep no other job waiting.
const PULLS_AT_ONCE: usize = 2;
/// The kind of job that fetches a model.
const PULL: &str = "model_pull";

/// Held by jobs at work.
#[derive(Clone)]
pub(crate) struct JobSlots {
    work: Arc<Semaphore>,
    pulls: Arc<Semaphore>,
}

impl Default for JobSlots {
    fn default() -> Self {
        Self {
            work: Arc::new(Semaphore::new(AT_ONCE)),
            pulls: Arc::new(Semaphore::new(PULLS_AT_ONCE)),
        }
    }
}

impl JobSlots {
    fn of(&self, job: &JobRecord) -> Arc<Semaphore> {
        match job.kind == PULL {
            true => Arc::clone(&self.pulls),
            false => Arc::clone(&self.work),
        }
    }
}

/// Begins the work of a job that is written down, or queues it behind others; returns at once.
pub(crate) fn start(state: &AppState, job: &JobRecord) {
    let slots = state.jobs.of(job);
    let job_id = job.job_id.clone();
    let state = state.clone();
    state.tasks.clone().spawn(async move {
        let slot = state.stop_answers.run_until_cancelled(slots.acquire());
        let Some(Ok(_slot)) = slot.await else {
            // The server stops; the job is still written down as pending, and the next start takes it up.
            return;
        };
        run(&state, job_id).await;
    });
}

async fn run(state: &AppState, job_id: String) {
    let id = job_id.clone();
    let ran = state
        .call(move |trainer| match trainer.run_job(&id) {
            // The bot was deleted meanwhile, and the job with it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            ran => ran.map(Some),
        })
        .await;
    match ran {
        Ok(Some(job)) => tracing::debug!(job_id, status = ?job.status, "job ended"),
        Ok(None) => tracing::debug!(job_id, "job removed with its bot"),
        Err(error) => tracing::warn!(job_id, error = error.for_log(), "job not recorded"),
    }
}
