//! Training a bot on its chats.

use axum::Json;
use axum::response::{IntoResponse, Response};
use longtrainer::{BotId, JobTask};

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::handlers::jobs;
use crate::ids::Ids;
use crate::job_types::BackgroundQuery;
use crate::query::QueryOf;
use crate::scoped::Scoped;
use crate::types::{NoFields, Trained};

/// Trains, and waits for it as documented, or has it done as a job.
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
