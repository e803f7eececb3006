//! Training a bot on its chats.

use axum::Json;
use axum::response::{IntoResponse, Response};
use longtrainer::{BotId, JobTask};

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::handlers::jobs;
use crate::ids::Ids;
use crate::job_types::{BackgroundQuery, JobBegun};
use crate::openapi::parameters as path;
use crate::openapi::responses::{Conflict, NoModel, Refused, Unknown};
use crate::query::QueryOf;
use crate::scoped::Scoped;
use crate::types::{NoFields, Trained};

/// Makes documents of a bot's chats
///
/// It is waited for as documented, or done as a job.
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/train-chats",
    operation_id = "train_chats",
    tag = "bots",
    params(path::OfBot, BackgroundQuery),
    request_body = NoFields,
    responses(
        (status = 200, description = "What was done", body = Trained),
        (status = 202, description = "The job, with `background`", body = JobBegun),
        Unknown,
        Refused,
        Conflict,
        NoModel,
    ),
)]
pub(crate) async fn train(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    QueryOf(query): QueryOf<BackgroundQuery>,
    JsonBody(NoFields {}): JsonBody<NoFields>,
) -> Result<Response, ApiError> {
    if query.background {
        let begun = jobs::begin(&state, JobTask::Train { bot_id }).await?;
        return Ok(begun.into_response());
    }
    let report = state
        .call(move |trainer| trainer.train_chats(&bot_id))
        .await?;
    Ok(Json(Trained::from(report)).into_response())
}
