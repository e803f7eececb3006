//! Training a bot on its chats.

use axum::Json;
use longtrainer::BotId;

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::openapi::parameters as path;
use crate::openapi::responses::{Conflict, NoModel, Refused, Unknown};
use crate::scoped::Scoped;
use crate::types::{NoFields, Trained};

/// Makes documents of a bot's chats
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/train-chats",
    operation_id = "train_chats",
    tag = "bots",
    params(path::OfBot),
    request_body = NoFields,
    responses(
        (status = 200, description = "What was done", body = Trained),
        Unknown,
        Refused,
        Conflict,
        NoModel,
    ),
)]
pub(crate) async fn train(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    JsonBody(NoFields {}): JsonBody<NoFields>,
) -> Result<Json<Trained>, ApiError> {
    let report = state
        .call(move |trainer| trainer.train_chats(&bot_id))
        .await?;
    Ok(Json(report.into()))
}
