//! A bot's documents: added, listed, removed, searched.

use axum::Json;
use longtrainer::BotId;

use crate::allowed_path::allowed_file;
use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::ingestion;
use crate::scoped::Scoped;
use crate::types::{
    DocumentList, Done, JobBegun, OfDocument, Passages, PathRequest, SearchRequest,
};

/// Adds a file of this machine, as a job. What can be refused at once is: an unknown bot, a file
/// that may not be read or is none.
pub(crate) async fn add_path(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    JsonBody(request): JsonBody<PathRequest>,
) -> Result<Json<JobBegun>, ApiError> {
    request.check()?;
    let options = state.options.clone();
    let (job, ingestion) = state
        .call(move |trainer| {
            trainer.bot(&bot_id)?;
            let path = allowed_file(&options.allow_dirs, &request.path)?;
            ingestion::register(trainer, bot_id, path)
        })
        .await?;
    ingestion.start(&state);
    Ok(Json(JobBegun {
        job_id: job.job_id,
        status: job.status,
    }))
}

pub(crate) async fn add_link() -> ApiError {
    ApiError::not_implemented(
        "documents/link: this server opens no connection to other machines; save the page and add \
         it with documents/path",
    )
}

pub(crate) async fn add_query() -> ApiError {
    ApiError::not_implemented(
        "documents/query: this server opens no connection to other machines, so it cannot search \
         an encyclopedia; add a file with documents/path",
    )
}

pub(crate) async fn list(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
) -> Result<Json<DocumentList>, ApiError> {
    let documents = state
        .call(move |trainer| {
            trainer.bot(&bot_id)?;
            trainer.list_documents(&bot_id)
        })
        .await?;
    Ok(Json(DocumentList { documents }))
}

pub(crate) async fn delete(
    Scoped(state): Scoped,
    Ids((bot_id, document_id)): Ids<(BotId, u64)>,
) -> Result<Json<Done<OfDocument>>, ApiError> {
    let id = bot_id.to_string();
    let chunks = state
        .call(move |trainer| trainer.remove_documents(&bot_id, &[document_id]))
        .await?;
    Ok(Json(Done {
        status: "deleted",
        ids: OfDocument {
            bot_id: id,
            document_id,
            chunks,
        },
    }))
}

pub(crate) async fn search(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    JsonBody(request): JsonBody<SearchRequest>,
) -> Result<Json<Passages>, ApiError> {
    let found = state
        .call(move |trainer| trainer.retrieve(&bot_id, &request.query, None))
        .await?;
    Ok(Json(Passages::from(found)))
}
