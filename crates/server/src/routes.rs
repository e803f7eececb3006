//! Every route, and what stands before all of them.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post, put};
use longtrainer::LongTrainer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use crate::api_error::answer_to_panic;
use crate::handlers::{bots, chats, documents, fallback, health, jobs, models, training, vision};
use crate::local_only::local_only;
use crate::openai;
use crate::options::ServerOptions;
use crate::state::AppState;
use crate::whole_body::whole_body;

/// The one route whose body may hold pictures.
pub(crate) const ASK_ABOUT_PICTURES: &str = "/bots/{bot_id}/vision-chats/{vision_chat_id}";

/// Where files are sent in, or one in the place of another.
const UPLOAD: &str = "/bots/{bot_id}/documents/upload";
const DOCUMENT: &str = "/bots/{bot_id}/documents/{document_id}";
/// The routes that take files.
pub(crate) const TAKE_FILES: [&str; 2] = [UPLOAD, DOCUMENT];

/// The documented routes over `trainer`, for a program that brings its own listener. Requests must
/// name a loopback host all the same.
pub fn router(trainer: LongTrainer, options: &ServerOptions) -> Router {
    with_state(AppState::new(trainer, options.clone()))
}

pub(crate) fn with_state(state: AppState) -> Router {
    Router::new()
        .route("/health", get(health::show))
        .route("/bots", get(bots::list).post(bots::create))
        .route(
            "/bots/{bot_id}",
            get(bots::show).patch(bots::update).delete(bots::delete),
        )
        .route("/bots/{bot_id}/build", post(bots::build))
        .route("/bots/{bot_id}/reindex", post(bots::reindex))
        .route("/bots/{bot_id}/load", post(bots::load))
        .route("/bots/{bot_id}/prompt", put(bots::set_prompt))
        .route("/bots/{bot_id}/documents", get(documents::list))
        .route("/bots/{bot_id}/documents/path", post(documents::add_path))
        .route("/bots/{bot_id}/documents/link", post(documents::add_link))
        .route("/bots/{bot_id}/documents/query", post(documents::add_query))
        .route(UPLOAD, post(documents::upload))
        .route(
            DOCUMENT,
            get(documents::show)
                .put(documents::replace)
                .delete(documents::delete),
        )
        .route("/bots/{bot_id}/vectorstore", post(documents::search))
        .route("/bots/{bot_id}/jobs", get(jobs::list_of_bot))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{job_id}", get(jobs::show).delete(jobs::cancel))
        .route("/jobs/{job_id}/cancel", post(jobs::cancel))
        .route("/models", get(models::list))
        .route("/models/pull", post(models::pull))
        .route("/models/load", post(models::load))
        .route("/models/unload", post(models::unload))
        .route("/bots/{bot_id}/chats", get(chats::list).post(chats::create))
        .route("/bots/{bot_id}/chats/search", get(chats::search))
        .route("/bots/{bot_id}/chats/export", get(chats::export_all))
        .route("/bots/{bot_id}/chats/{chat_id}", post(chats::ask))
        .route(
            "/chats/{chat_id}",
            get(chats::show).patch(chats::rename).delete(chats::delete),
        )
        .route("/chats/{chat_id}/export", get(chats::export))
        .route("/bots/{bot_id}/train-chats", post(training::train))
        .route("/bots/{bot_id}/vision-chats", post(vision::create))
        .route(ASK_ABOUT_PICTURES, post(vision::ask))
        .route(
            "/vision-chats/{vision_chat_id}",
            get(vision::show)
                .patch(vision::rename)
                .delete(vision::delete),
        )
        .route("/vision-chats/{vision_chat_id}/export", get(vision::export))
        .route(
            "/vision-chats/{vision_chat_id}/pictures/{sha256}",
            get(vision::picture),
        )
        .merge(openai::routes())
        .fallback(fallback::unknown_route)
        .method_not_allowed_fallback(fallback::wrong_method)
        .layer(from_fn_with_state(state.clone(), whole_body))
        .layer(from_fn(local_only))
        .layer(CatchPanicLayer::custom(answer_to_panic))
        .layer(from_fn(openai::in_openais_shape))
        .layer(TraceLayer::new_for_http())
        .with_state(state)
}
