//! Jobs: how far the work in the background has come, and ending it.

use axum::Json;
use axum::http::StatusCode;
use longtrainer::{BotId, JobTask};

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::job_runner;
use crate::job_types::{JobBegun, JobBody, JobList, JobsQuery};
use crate::openapi::parameters as path;
use crate::openapi::responses::{Conflict, Refused, RefusedQuery, Unknown};
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

/// Lists all jobs, oldest first
#[utoipa::path(
    get,
    path = "/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(JobsQuery),
    responses(
        (status = 200, description = "The jobs", body = JobList),
        RefusedQuery,
    ),
)]
pub(crate) async fn list(
    Scoped(state): Scoped,
    QueryOf(query): QueryOf<JobsQuery>,
) -> Result<Json<JobList>, ApiError> {
    let mut jobs = state.call(|trainer| trainer.all_jobs()).await?;
    jobs.retain(|job| query.takes(job));
    Ok(Json(jobs.into()))
}

/// Lists a bot's jobs, oldest first
#[utoipa::path(
    get,
    path = "/bots/{bot_id}/jobs",
    operation_id = "list_jobs_of_bot",
    tag = "jobs",
    params(path::OfBot, JobsQuery),
    responses(
        (status = 200, description = "The jobs", body = JobList),
        Unknown,
        RefusedQuery,
    ),
)]
pub(crate) async fn list_of_bot(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    QueryOf(query): QueryOf<JobsQuery>,
) -> Result<Json<JobList>, ApiError> {
    let mut jobs = state.call(move |trainer| trainer.jobs(&bot_id)).await?;
    jobs.retain(|job| query.takes(job));
    Ok(Json(jobs.into()))
}

/// Shows a job
#[utoipa::path(
    get,
    path = "/jobs/{job_id}",
    operation_id = "show_job",
    tag = "jobs",
    params(path::OfJob),
    responses(
        (status = 200, description = "The job", body = JobBody),
        Unknown,
    ),
)]
pub(crate) async fn show(
    Scoped(state): Scoped,
    Ids(job_id): Ids<String>,
) -> Result<Json<JobBody>, ApiError> {
    let job = state.call(move |trainer| trainer.job(&job_id)).await?;
    Ok(Json(job.into()))
}

/// Cancels a job
///
/// What is at work ends a moment later, so the answer may still say `processing`.
#[utoipa::path(
    post,
    path = "/jobs/{job_id}/cancel",
    operation_id = "cancel_job",
    tag = "jobs",
    params(path::OfJob),
    request_body = NoFields,
    responses(
        (status = 200, description = "The job", body = JobBody),
        Unknown,
        Refused,
        Conflict,
    ),
)]
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

/// Cancels a job, as the other route does
#[utoipa::path(
    delete,
    path = "/jobs/{job_id}",
    operation_id = "delete_job",
    tag = "jobs",
    params(path::OfJob),
    responses(
        (status = 200, description = "The job", body = JobBody),
        Unknown,
        Conflict,
    ),
)]
pub(crate) async fn delete(
    state: Scoped,
    job_id: Ids<String>,
    body: JsonBody<NoFields>,
) -> Result<Json<JobBody>, ApiError> {
    cancel(state, job_id, body).await
}
