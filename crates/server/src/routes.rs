//! Every route, and what stands before all of them.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use longtrainer::LongTrainer;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use crate::access::gate;
use crate::api_error::answer_to_panic;
use crate::cors;
use crate::handlers::{bots, chats, documents, fallback, health, jobs, keys, training, vision};
use crate::options::ServerOptions;
use crate::slow_body::slow_body;
use crate::state::AppState;
use crate::whole_body::whole_body;

/// The one route whose body may hold pictures.
pub(crate) const ASK_ABOUT_PICTURES: &str = "/bots/{bot_id}/vision-chats/{vision_chat_id}";

/// The documented routes over `trainer`, for a program that brings its own listener. Requests must
/// show a key, or while there are none, name a loopback host all the same.
pub fn router(trainer: LongTrainer, options: &ServerOptions) -> Router {
    with_state(AppState::new(trainer, options.clone()))
}

pub(crate) fn with_state(state: AppState) -> Router {
    let cors =
        (!state.options.cors_origins.is_empty()).then(|| cors::layer(&state.options.cors_origins));
    Router::new()
        .route("/health", get(health::show))
        .route("/bots", get(bots::list).post(bots::create))
        .route("/bots/{bot_id}", get(bots::show).delete(bots::delete))
        .route("/bots/{bot_id}/build", post(bots::build))
        .route("/bots/{bot_id}/load", post(bots::load))
        .route("/bots/{bot_id}/prompt", put(bots::set_prompt))
        .route("/bots/{bot_id}/documents", get(documents::list))
        .route("/bots/{bot_id}/documents/path", post(documents::add_path))
        .route("/bots/{bot_id}/documents/link", post(documents::add_link))
        .route("/bots/{bot_id}/documents/query", post(documents::add_query))
        .route(
            "/bots/{bot_id}/documents/{document_id}",
            delete(documents::delete),
        )
        .route("/bots/{bot_id}/vectorstore", post(documents::search))
        .route("/bots/{bot_id}/jobs", get(jobs::list))
        .route("/jobs/{job_id}", get(jobs::show))
        .route("/bots/{bot_id}/chats", get(chats::list).post(chats::create))
        .route("/bots/{bot_id}/chats/{chat_id}", post(chats::ask))
        .route(
            "/chats/{chat_id}",
            get(chats::show).patch(chats::rename).delete(chats::delete),
        )
        .route("/bots/{bot_id}/train-chats", post(training::train))
        .route("/bots/{bot_id}/vision-chats", post(vision::create))
        .route(ASK_ABOUT_PICTURES, post(vision::ask))
        .route(
            "/vision-chats/{vision_chat_id}",
            get(vision::show)
                .patch(vision::rename)
                .delete(vision::delete),
        )
        .route("/keys", get(keys::list).post(keys::create))
        .route("/keys/{key_id}", delete(keys::revoke))
        .fallback(fallback::unknown_route)
        .method_not_allowed_fallback(fallback::wrong_method)
        .layer(from_fn_with_state(state.clone(), whole_body))
        .layer(from_fn_with_state(state.clone(), slow_body))
        .layer(from_fn_with_state(state.clone(), gate))
        .layer(option_layer(cors))
        .layer(CatchPanicLayer::custom(answer_to_panic))
        .layer(TraceLayer::new_for_http())
        .with_state(state)
}
