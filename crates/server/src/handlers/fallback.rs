//! Requests that no route takes.

use axum::http::{Method, StatusCode, Uri};

use crate::api_error::ApiError;

pub(crate) async fn unknown_route(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is no route {}", uri.path()))
}

pub(crate) async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
    )
}
