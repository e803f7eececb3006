//! Training a bot on its chats.

use axum::Json;
use longtrainer::BotId;

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::scoped::Scoped;
use crate::types::{NoFields, Trained};

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
