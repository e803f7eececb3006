//! What whoever runs the server asks: whether it is up, whether it is ready, and its figures.
//!
//! None of it is about anybody's bots, so these handlers look at the whole of the service and not at
//! what their sender may see of it. The figures add up what all tenants do, so they are the owner's.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::api_error::ApiError;
use crate::openapi::responses::OwnersOnly;
use crate::scoped::OwnerOnly;
use crate::state::AppState;
use crate::types::{Health, Readiness};

/// The format of the figures: OpenMetrics, which Prometheus reads as its own.
const FIGURES: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the server runs
///
/// It touches neither store nor models.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "operation",
    responses(
        (status = 200, description = "It runs", body = Health),
    ),
)]
pub(crate) async fn health() -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Whether the server is ready for questions, and why not
///
/// It is when its store can be read, and the models that bots use by default are in memory or can be
/// loaded.
#[utoipa::path(
    get,
    path = "/ready",
    operation_id = "ready",
    tag = "operation",
    responses(
        (status = 200, description = "It is", body = Readiness),
        (status = 503, description = "It is not, for these reasons", body = Readiness),
    ),
)]
pub(crate) async fn ready(State(state): State<AppState>) -> Result<Response, ApiError> {
    let readiness = state.readiness.clone();
    let reasons = state
        .call(move |trainer| Ok::<_, ApiError>(readiness.reasons(trainer)))
        .await?;
    let (code, status) = match reasons.is_empty() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let body = Json(Readiness { status, reasons });
    Ok((code, [(CACHE_CONTROL, "no-store")], body).into_response())
}

/// The server's figures
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "operation",
    responses(
        (status = 200, description = "The figures in the text format of OpenMetrics, which Prometheus reads", body = String, content_type = "application/openmetrics-text"),
        OwnersOnly,
    ),
)]
pub(crate) async fn metrics(OwnerOnly(state): OwnerOnly) -> Result<Response, ApiError> {
    let metrics = state.metrics.clone();
    let page = state.call(move |_| metrics.render()).await?;
    Ok(([(CONTENT_TYPE, FIGURES)], page).into_response())
}
