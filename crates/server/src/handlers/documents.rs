//! A bot's documents: added, sent in, listed, shown, replaced, removed, searched.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use longtrainer::{BotId, Document, IngestSource, JobTask};

use crate::allowed_path::allowed_file;
use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::content_log;
use crate::handlers::jobs;
use crate::ids::Ids;
use crate::job_runner;
use crate::job_types::{BackgroundQuery, JobBegun, LinksRequest};
use crate::openapi::forms::UploadForm;
use crate::openapi::parameters as path;
use crate::openapi::responses::{
    Conflict, NoModel, NotAllowed, NotHere, Refused, RefusedUpload, Unknown,
};
use crate::query::QueryOf;
use crate::routes::{DOCUMENT, UPLOAD};
use crate::scoped::Scoped;
use crate::state::AppState;
use crate::types::{
    Added, DocumentBody, DocumentList, Done, OfDocument, Passages, PathRequest, ReplaceRequest,
    Replaced, SearchRequest,
};
use crate::upload::{self, Received, is_multipart};

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
    let task = state
        .call(move |trainer| {
            trainer.bot(&bot_id)?;
            let path = allowed_file(&options.allow_dirs, &request.path)?;
            Ok::<_, ApiError>(JobTask::Ingest {
                bot_id,
                sources: vec![IngestSource::Path { path }],
                replaces: None,
                build: request.build,
            })
        })
        .await?;
    // The documented status is 200.
    let (_, begun) = jobs::begin(&state, task).await?;
    Ok(begun)
}

/// Adds what links lead to
///
/// It is waited for as documented, or done as a job.
#[utoipa::path(
    post,
    path = "/bots/{bot_id}/documents/link",
    operation_id = "add_document_link",
    tag = "documents",
    params(path::OfBot, BackgroundQuery),
    request_body = LinksRequest,
    responses(
        (status = 200, description = "What was added", body = Done<Added>),
        (status = 202, description = "The job, with `background` or `build`", body = JobBegun),
        Unknown,
        Refused,
        Conflict,
        NoModel,
    ),
)]
pub(crate) async fn add_link(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    QueryOf(query): QueryOf<BackgroundQuery>,
    JsonBody(request): JsonBody<LinksRequest>,
) -> Result<Response, ApiError> {
    let known = bot_id.clone();
    state.call(move |trainer| trainer.bot(&known)).await?;
    let LinksRequest { links, build } = request.checked()?;
    for link in &links {
        content_log::link(&state.options, link);
    }
    if query.background || build {
        let sources = links.into_iter().map(|url| IngestSource::Link { url });
        let task = JobTask::Ingest {
            bot_id,
            sources: sources.collect(),
            replaces: None,
            build,
        };
        return Ok(jobs::begin(&state, task).await?.into_response());
    }
    let added = state
        .call(move |trainer| trainer.add_document_from_link(&links, &bot_id))
        .await?;
    let done = Done {
        status: "ok",
        ids: Added::from(added),
    };
    Ok(Json(done).into_response())
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
        "documents/query: this server searches no encyclopedia; add the pages that you mean with \
         documents/link",
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

/// Takes files in, as a job that reads them
#[utoipa::path(
    post,
    path = UPLOAD,
    operation_id = "upload_documents",
    tag = "documents",
    params(path::OfBot),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 202, description = "The job", body = JobBegun),
        Unknown,
        RefusedUpload,
    ),
)]
pub(crate) async fn upload(
    Scoped(state): Scoped,
    Ids(bot_id): Ids<BotId>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<JobBegun>), ApiError> {
    let known = bot_id.clone();
    if let Err(reason) = state.call(move |trainer| trainer.bot(&known)).await {
        return Err(upload::refuse(body, reason).await);
    }
    let received = upload::receive(&state, &headers, body, usize::MAX).await?;
    begin_upload_job(&state, received, bot_id, None).await
}

async fn begin_upload_job(
    state: &AppState,
    received: Received,
    bot_id: BotId,
    replaces: Option<u64>,
) -> Result<(StatusCode, Json<JobBegun>), ApiError> {
    let Received { upload, build } = received;
    let job = state
        .call(move |trainer| trainer.begin_upload_job(upload, bot_id, replaces, build))
        .await?;
    job_runner::start(state, &job);
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// Shows a document with its text
#[utoipa::path(
    get,
    path = DOCUMENT,
    operation_id = "show_document",
    tag = "documents",
    params(path::OfDocument),
    responses(
        (status = 200, description = "The document", body = DocumentBody),
        Unknown,
    ),
)]
pub(crate) async fn show(
    Scoped(state): Scoped,
    Ids((bot_id, document_id)): Ids<(BotId, u64)>,
) -> Result<Json<DocumentBody>, ApiError> {
    let document = state
        .call(move |trainer| trainer.document(&bot_id, document_id))
        .await?;
    Ok(Json(document.into()))
}

/// Replaces a document
///
/// Puts a text in the place of a document at once, or, as a job, a file in the place of the document and
/// of all others that came from the same file.
#[utoipa::path(
    put,
    path = DOCUMENT,
    operation_id = "replace_document",
    tag = "documents",
    params(path::OfDocument),
    request_body(content(
        (ReplaceRequest = "application/json"),
        (UploadForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The text has taken its place", body = Done<Replaced>),
        (status = 202, description = "The job, where a file was sent", body = JobBegun),
        Unknown,
        RefusedUpload,
        Conflict,
        NoModel,
    ),
)]
pub(crate) async fn replace(
    Scoped(state): Scoped,
    Ids((bot_id, document_id)): Ids<(BotId, u64)>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    if !is_multipart(&headers) {
        let JsonBody(text) = JsonBody::from_request(request, &()).await?;
        return replace_text(&state, bot_id, document_id, text).await;
    }
    let known = bot_id.clone();
    let document = state.call(move |trainer| trainer.document(&known, document_id));
    if let Err(reason) = document.await {
        return Err(upload::refuse(request.into_body(), reason).await);
    }
    let received = upload::receive(&state, &headers, request.into_body(), 1).await?;
    let begun = begin_upload_job(&state, received, bot_id, Some(document_id)).await?;
    Ok(begun.into_response())
}

async fn replace_text(
    state: &AppState,
    bot_id: BotId,
    document_id: u64,
    request: ReplaceRequest,
) -> Result<Response, ApiError> {
    let id = bot_id.to_string();
    let added = state
        .call(move |trainer| {
            let metadata = match request.metadata {
                Some(metadata) => metadata,
                None => trainer.document(&bot_id, document_id)?.metadata,
            };
            let document = Document {
                page_content: request.page_content,
                metadata,
            };
            trainer.replace_document(&bot_id, document_id, document)
        })
        .await?;
    let done = Done {
        status: "ok",
        ids: Replaced {
            bot_id: id,
            // None if the bot has the same document already.
            document_id: added.added.first().copied(),
            replaced: document_id,
        },
    };
    Ok(Json(done).into_response())
}

/// Removes a document
#[utoipa::path(
    delete,
    path = DOCUMENT,
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
