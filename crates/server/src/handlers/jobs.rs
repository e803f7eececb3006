//! Jobs: how far the work in the background has come.

use axum::Json;
use longtrainer::{BotId, JobRecord};

use crate::api_error::ApiError;
use crate::ids::Ids;
use crate::openapi::parameters as path;
use crate::openapi::responses::Unknown;
use crate::scoped::Scoped;
use crate::types::JobList;

/// Shows a job
#[utoipa::path(
    get,
    path = "/jobs/{job_id}",
    operation_id = "show_job",
    tag = "jobs",
    params(path::OfJob),
    responses(
        (status = 200, description = "The job", body = JobRecord),
        Unknown,
    ),
)]
pub(crate) async fn show(
    Scoped(state): Scoped,
    Ids(job_id): Ids<String>,
) -> Result<Json<JobRecord>, ApiError> {
    state
        .call(move |trainer| trainer.job(&job_id))
        .await
        .map(Json)
}

/// Lists a bot's jobs, oldest first
#[utoipa::path(
    get,
    path = "/bots/{bot_id}/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(path::OfBot),
    responses(
        (status = 200, description = "The jobs", body = JobList),
        Unknown,
    ),
)]
pub(crate) async fn list(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
) -> Result<Json<JobList>, ApiError> {
    let jobs = state.call(move |trainer| trainer.jobs(&bot_id)).await?;
    Ok(Json(JobList { jobs }))
}
