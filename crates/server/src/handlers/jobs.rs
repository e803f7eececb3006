//! Jobs: how far the work in the background has come, and ending it.

use axum::Json;
use axum::http::StatusCode;
use longtrainer::{BotId, JobTask};

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::job_runner;
use crate::job_types::{JobBegun, JobBody, JobList, JobsQuery};
use crate::query::QueryOf;
use crate::scoped::Scoped;
use crate::state::AppState;
use crate::types::NoFields;

/// Writes a job down, has it begun, and tells its id.
pub(crate) async fn begin(
    state: &AppState,
    task: JobTask,
) -> Result<(StatusCode, Json<JobBegun>), ApiError> {
    let job = state.call(move |trainer| trainer.begin_job(&task)).await?;
    job_runner::start(state, &job);
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

pub(crate) async fn list(
    Scoped(state): Scoped,
    QueryOf(query): QueryOf<JobsQuery>,
) -> Result<Json<JobList>, ApiError> {
    let mut jobs = state.call(|trainer| trainer.all_jobs()).await?;
    jobs.retain(|job| query.takes(job));
    Ok(Json(jobs.into()))
}

pub(crate) async fn list_of_bot(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    QueryOf(query): QueryOf<JobsQuery>,
) -> Result<Json<JobList>, ApiError> {
    let mut jobs = state.call(move |trainer| trainer.jobs(&bot_id)).await?;
    jobs.retain(|job| query.takes(job));
    Ok(Json(jobs.into()))
}

pub(crate) async fn show(
    Scoped(state): Scoped,
    Ids(job_id): Ids<String>,
) -> Result<Json<JobBody>, ApiError> {
    let job = state.call(move |trainer| trainer.job(&job_id)).await?;
    Ok(Json(job.into()))
}

/// Cancels a job; both `DELETE` and `POST .../cancel` do. What is at work ends a moment later, so the
/// answer may still say `processing`.
pub(crate) async fn cancel(
    Scoped(state): Scoped,
    Ids(job_id): Ids<String>,
    JsonBody(NoFields {}): JsonBody<NoFields>,
) -> Result<Json<JobBody>, ApiError> {
    let job = state
        .call(move |trainer| trainer.cancel_job(&job_id))
        .await?;
    Ok(Json(job.into()))
}
