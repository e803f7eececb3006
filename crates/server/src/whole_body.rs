//! Reads a request's body before anything is decided about it, up to the limit.
//!
//! A request that is refused with its body unread costs the client its connection, and one that is
//! still sending when the connection closes never sees the answer. Bodies are small here, those
//! with pictures apart, so they are read first, but for files, which their routes stream to the disk; one that is too large is read on for a while and dropped.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::api_error::ApiError;
use crate::openai::BODIES_WITH_PICTURES;
use crate::routes::{ASK_ABOUT_PICTURES, TAKE_FILES};
use crate::slow_body::was_too_slow;
use crate::state::AppState;
use crate::upload::is_multipart;

/// How much of a body that is too large is read and dropped, as a multiple of the limit.
const DRAINED: usize = 8;
/// For how long it is read.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Lets requests pass whose body is whole and within the limit.
pub(crate) async fn whole_body(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    if holds_files(&request) {
        return next.run(request).await;
    }
    let limit = limit(&state, &request);
    let (parts, body) = request.into_parts();
    match read(body, limit).await {
        Ok(bytes) => next.run(Request::from_parts(parts, bytes.into())).await,
        Err(error) => error.into_response(),
    }
}

/// Whether the body is files that the route writes to the disk as they come.
fn holds_files(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>();
    route.is_some_and(|route| TAKE_FILES.contains(&route.as_str()))
        && is_multipart(request.headers())
}

/// Most bytes of this request's body.
fn limit(state: &AppState, request: &Request) -> usize {
    let route = request.extensions().get::<MatchedPath>();
    let has_pictures =
        |route: &str| route == ASK_ABOUT_PICTURES || BODIES_WITH_PICTURES.contains(&route);
    match route.is_some_and(|route| has_pictures(route.as_str())) {
        true => state.options.picture_body_limit,
        false => state.options.body_limit,
    }
}

async fn read(mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
    match Limited::new(&mut body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            // Whether the rest comes in time changes nothing about the answer.
            let _ = tokio::time::timeout(DRAIN_TIME, drain(body, limit)).await;
            Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the request's body is larger than {limit} bytes"),
            ))
        }
        Err(error) if was_too_slow(&*error) => {
            let reason = "the request's body came too slowly";
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, reason))
        }
        Err(error) => {
            let reason = format!("the request's body could not be read: {error}");
            Err(ApiError::bad_request(reason))
        }
    }
}

async fn drain(body: Body, limit: usize) {
    let mut rest = Limited::new(body, limit.saturating_mul(DRAINED));
    while let Some(Ok(_)) = rest.frame().await {}
}
