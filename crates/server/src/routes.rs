//! Every route, and what stands before all of them.

use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use longtrainer::LongTrainer;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::{HttpMakeClassifier, TraceLayer};
use tracing::Span;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::gate;
use crate::api_error::answer_to_panic;
use crate::cors;
use crate::handlers::{
    bots, chats, docs, documents, fallback, jobs, keys, models, operation, training, vision,
};
use crate::observed::{observe, span};
use crate::openai;
use crate::openapi::{self, Description};
use crate::options::ServerOptions;
use crate::request_id::only_sane;
use crate::slow_body::slow_body;
use crate::state::AppState;
use crate::whole_body::whole_body;

/// The one route whose body may hold pictures.
pub(crate) const ASK_ABOUT_PICTURES: &str = "/bots/{bot_id}/vision-chats/{vision_chat_id}";

/// Where files are sent in, or one in the place of another.
pub(crate) const UPLOAD: &str = "/bots/{bot_id}/documents/upload";
pub(crate) const DOCUMENT: &str = "/bots/{bot_id}/documents/{document_id}";
/// The routes that take files.
pub(crate) const TAKE_FILES: [&str; 2] = [UPLOAD, DOCUMENT];

/// The documented routes over `trainer`, for a program that brings its own listener. Requests must
/// show a key, or while there are none, name a loopback host all the same.
pub fn router(trainer: LongTrainer, options: &ServerOptions) -> Router {
    with_state(AppState::new(trainer, options.clone()))
}

pub(crate) fn with_state(state: AppState) -> Router {
    let cors =
        (!state.options.cors_origins.is_empty()).then(|| cors::layer(&state.options.cors_origins));
    let (routes, document) = described().split_for_parts();
    routes
        .layer(Extension(Description::of(document)))
        .fallback(fallback::unknown_route)
        .method_not_allowed_fallback(fallback::wrong_method)
        .layer(from_fn_with_state(state.clone(), whole_body))
        .layer(from_fn_with_state(state.clone(), slow_body))
        .layer(from_fn_with_state(state.clone(), gate))
        .layer(option_layer(cors))
        .layer(CatchPanicLayer::custom(answer_to_panic))
        .layer(from_fn(openai::in_openais_shape))
        .layer(from_fn_with_state(state.metrics.clone(), observe))
        .layer(only_a_span())
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(from_fn(only_sane))
        .with_state(state)
}

/// A layer that makes a span for a request, and tells nothing.
type SpanLayer = TraceLayer<HttpMakeClassifier, fn(&Request) -> Span, (), (), (), (), ()>;

/// Puts every request into its span. What is told of it is told by [`observe`], once, at its end.
fn only_a_span() -> SpanLayer {
    TraceLayer::new_for_http()
        .make_span_with(span as fn(&Request) -> Span)
        .on_request(())
        .on_response(())
        .on_body_chunk(())
        .on_eos(())
        .on_failure(())
}

/// Every route. A handler comes here with its description, which has its path and method, so that no
/// route can lack one.
fn described() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(operation::health))
        .routes(routes!(operation::ready))
        .routes(routes!(operation::metrics))
        .routes(routes!(docs::document))
        .routes(routes!(docs::page))
        .routes(routes!(docs::file))
        .routes(routes!(bots::list, bots::create))
        .routes(routes!(bots::show, bots::update, bots::delete))
        .routes(routes!(bots::build))
        .routes(routes!(bots::reindex))
        .routes(routes!(bots::load))
        .routes(routes!(bots::set_prompt))
        .routes(routes!(documents::list))
        .routes(routes!(documents::add_path))
        .routes(routes!(documents::add_link))
        .routes(routes!(documents::add_query))
        .routes(routes!(documents::upload))
        .routes(routes!(
            documents::show,
            documents::replace,
            documents::delete
        ))
        .routes(routes!(documents::search))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::list_of_bot))
        .routes(routes!(jobs::show, jobs::delete))
        .routes(routes!(jobs::cancel))
        .routes(routes!(models::list))
        .routes(routes!(models::pull))
        .routes(routes!(models::load))
        .routes(routes!(models::unload))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(chats::list, chats::create))
        .routes(routes!(chats::search))
        .routes(routes!(chats::export_all))
        .routes(routes!(chats::ask))
        .routes(routes!(chats::show, chats::rename, chats::delete))
        .routes(routes!(chats::export))
        .routes(routes!(training::train))
        .routes(routes!(vision::create))
        .routes(routes!(vision::ask))
        .routes(routes!(vision::show, vision::rename, vision::delete))
        .routes(routes!(vision::export))
        .routes(routes!(vision::picture))
        .merge(openai::routes())
}
