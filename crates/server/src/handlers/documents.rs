//! A bot's documents: added, listed, removed, searched.

use axum::Json;
use longtrainer::BotId;

use crate::allowed_path::allowed_file;
use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::content_log;
use crate::ids::Ids;
use crate::ingestion;
use crate::openapi::parameters as path;
use crate::openapi::responses::{Conflict, NoModel, NotAllowed, NotHere, Refused, Unknown};
use crate::scoped::Scoped;
use crate::types::{
    DocumentList, Done, JobBegun, OfDocument, Passages, PathRequest, SearchRequest,
};

/// Adds a file of the server's machine, as a job
///
/// What can be refused at once is: an unknown bot, a file
/// that may not be read or is none.
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/documents/path",
    operation_id = "add_document_path",
    tag = "documents",
    params(path::OfBot),
    request_body = PathRequest,
    responses(
        (status = 200, description = "The job", body = JobBegun),
        Unknown,
        Refused,
        NotAllowed,
        NotHere,
    ),
)]
pub(crate) async fn add_path(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    JsonBody(request): JsonBody<PathRequest>,
) -> Result<Json<JobBegun>, ApiError> {
    request.check()?;
    content_log::file(&state.options, &request.path);
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

/// Not in this version: adds web pages
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/documents/link",
    operation_id = "add_document_link",
    tag = "documents",
    params(path::OfBot),
    responses(NotHere,)
)]
pub(crate) async fn add_link() -> ApiError {
    ApiError::not_implemented(
        "documents/link: this server opens no connection to other machines; save the page and add \
         it with documents/path",
    )
}

/// Not in this version: adds what an encyclopedia finds
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/documents/query",
    operation_id = "add_document_query",
    tag = "documents",
    params(path::OfBot),
    responses(NotHere,)
)]
pub(crate) async fn add_query() -> ApiError {
    ApiError::not_implemented(
        "documents/query: this server opens no connection to other machines, so it cannot search \
         an encyclopedia; add a file with documents/path",
    )
}

/// Lists a bot's documents
#[utoipa::path(
    get,
    path = "/bots/{bot_id}/documents",
    operation_id = "list_documents",
    tag = "documents",
    params(path::OfBot),
    responses(
        (status = 200, description = "The documents", body = DocumentList),
        Unknown,
    ),
)]
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

/// Removes a document
#[utoipa::path(
    delete,
    path = "/bots/{bot_id}/documents/{document_id}",
    operation_id = "delete_document",
    tag = "documents",
    params(path::OfDocument),
    responses(
        (status = 200, description = "It is gone", body = Done<OfDocument>),
        Unknown,
    ),
)]
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

/// Searches a bot's documents
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/vectorstore",
    operation_id = "search_documents",
    tag = "documents",
    params(path::OfBot),
    request_body = SearchRequest,
    responses(
        (status = 200, description = "What was found, best first", body = Passages),
        Unknown,
        Refused,
        Conflict,
        NoModel,
    ),
)]
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
