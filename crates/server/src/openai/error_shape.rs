//! Gives errors under `/v1` OpenAI's shape wherever they come from: a wrong key, an unknown route, a body
//! that is too large, a panic.

use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::Response;

use super::error::{OpenAiError, Shaped};
use crate::api_error::ErrorDetail;

/// Lets everything pass but errors of another shape.
pub(crate) async fn in_openais_shape(request: Request, next: Next) -> Response {
    let is_openais = is_openais(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_shaped = response.extensions().get::<Shaped>().is_some();
    match is_openais && is_error && !is_shaped {
        true => reshaped(response),
        false => response,
    }
}

/// Whether a path is one of OpenAI's.
pub(crate) fn is_openais(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

fn reshaped(response: Response) -> Response {
    let status = response.status();
    let detail = match response.extensions().get::<ErrorDetail>() {
        Some(ErrorDetail(detail)) => detail.clone(),
        None => status.canonical_reason().unwrap_or("failed").to_owned(),
    };
    // What made it has told the log.
    let mut shaped = OpenAiError::new(status, detail).response();
    // When to try again, how to sign in.
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH {
            shaped.headers_mut().insert(name, value.clone());
        }
    }
    shaped
}
