//! The job that reads a file into a bot: `pending`, then `processing`, then `success` or `failed`
//! with the reason. The documents become searchable at the bot's next build, as documented.

use std::path::PathBuf;

use longtrainer::{BotId, JobRecord, JobStatus, LongTrainer};

use crate::api_error::ApiError;
use crate::state::AppState;

/// The documented name of this kind of job.
const KIND: &str = "document_ingest";

/// A registered job that has not begun.
pub(crate) struct Ingestion {
    job_id: String,
    bot_id: BotId,
    path: PathBuf,
}

/// Stores the job's record.
pub(crate) fn register(
    trainer: &LongTrainer,
    bot_id: BotId,
    path: PathBuf,
) -> Result<(JobRecord, Ingestion), ApiError> {
    let job = trainer.create_job(&bot_id, KIND)?;
    let ingestion = Ingestion {
        job_id: job.job_id.clone(),
        bot_id,
        path,
    };
    Ok((job, ingestion))
}

impl Ingestion {
    /// Begins the work, or queues it behind others; returns at once.
    pub(crate) fn start(self, state: &AppState) {
        let state = state.clone();
        state.tasks.clone().spawn(async move {
            let job_id = self.job_id.clone();
            if let Err(error) = self.run(&state).await {
                // The bot was deleted meanwhile, and the job with it, or the store is failing.
                tracing::warn!(job_id, %error, "job not recorded");
            }
        });
    }

    /// Does the work; an error is one of the record, not of the work.
    async fn run(self, state: &AppState) -> Result<(), ApiError> {
        let Some(Ok(_permit)) = state
            .stop_answers
            .run_until_cancelled(state.ingestions.acquire())
            .await
        else {
            // The server stops; the next start marks the job as failed.
            return Ok(());
        };
        let Self {
            job_id,
            bot_id,
            path,
        } = self;
        record(state, &job_id, JobStatus::Processing, None).await?;
        let outcome = state
            .call(move |trainer| trainer.add_document_from_path(&path, &bot_id))
            .await;
        match outcome {
            Ok(_) => record(state, &job_id, JobStatus::Success, None).await,
            Err(error) => record(state, &job_id, JobStatus::Failed, Some(error)).await,
        }
    }
}

async fn record(
    state: &AppState,
    job_id: &str,
    status: JobStatus,
    error: Option<ApiError>,
) -> Result<(), ApiError> {
    let job_id = job_id.to_owned();
    state
        .call(move |trainer| {
            trainer
                .update_job(&job_id, status, error.as_ref().map(ApiError::detail))
                .map(drop)
        })
        .await
}
