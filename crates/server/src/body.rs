//! JSON bodies: limited, checked, and refused with a reason.
//!
//! A body must say that it is JSON. A browser sends that content type to another site only after
//! asking for leave, which this server never gives. No body at all counts as `{}`, so that a route
//! without required fields can be called without one.

use std::fmt::Display;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::api_error::ApiError;
use crate::state::AppState;

/// How much of a body that is too large is read and dropped, as a multiple of the limit. A client
/// that is still sending when the connection closes never sees the answer.
const DRAINED: usize = 8;
/// For how long it is read.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, state.options.body_limit).await?;
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
        Err(error) => Err(ApiError::bad_request(format!(
            "the request's body could not be read: {error}"
        ))),
    }
}

async fn drain(body: Body, limit: usize) {
    let mut rest = Limited::new(body, limit.saturating_mul(DRAINED));
    while let Some(Ok(_)) = rest.frame().await {}
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
