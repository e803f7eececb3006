//! JSON bodies: checked, and refused with a reason. The middleware `whole_body` has read them.
//!
//! A body must say that it is JSON. A browser sends that content type to another site only after
//! asking for leave, which this server never gives. No body at all counts as `{}`, so that a route
//! without required fields can be called without one.

use std::fmt::Display;

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::api_error::ApiError;

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = body
            .collect()
            .await
            .map_err(|error| ApiError::bad_request(error.to_string()))?
            .to_bytes();
        if bytes.is_empty() {
            return parse(b"{}");
        }
        check_content_type(&parts.headers)?;
        parse(&bytes)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<JsonBody<T>, ApiError> {
    // A list would be taken for the fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::unprocessable(
            "the request's body must be a JSON object",
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let body = serde_path_to_error::deserialize(&mut json).map_err(refused)?;
    json.end().map_err(refused)?;
    Ok(JsonBody(body))
}

/// The reason, with the field and the place.
fn refused(error: impl Display) -> ApiError {
    ApiError::unprocessable(format!("the request's body is refused: {error}"))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("the body's content type is {given:?}, but must be application/json"),
    ))
}
