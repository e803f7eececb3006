//! Jobs: how far the work in the background has come.

use axum::Json;
use longtrainer::{BotId, JobRecord};

use crate::api_error::ApiError;
use crate::ids::Ids;
use crate::scoped::Scoped;
use crate::types::JobList;

pub(crate) async fn show(
    Scoped(state): Scoped,
    Ids(job_id): Ids<String>,
) -> Result<Json<JobRecord>, ApiError> {
    state
        .call(move |trainer| trainer.job(&job_id))
        .await
        .map(Json)
}

pub(crate) async fn list(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
) -> Result<Json<JobList>, ApiError> {
    let jobs = state.call(move |trainer| trainer.jobs(&bot_id)).await?;
    Ok(Json(JobList { jobs }))
}
