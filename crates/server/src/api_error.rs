//! What a request that cannot be answered is told: a status and `{"detail": ...}`, the documented
//! form. The one place where an error of the facade becomes a status.

use std::any::Any;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use longtrainer::{ErrorKind, with_causes};
use tokio::task::JoinError;

use crate::types::{ErrorBody, UnstructuredBody};

/// The reason of an error, beside the response that tells it: what gives errors another shape reads it.
#[derive(Debug, Clone)]
pub(crate) struct ErrorDetail(pub(crate) String);

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct ApiError {
    status: StatusCode,
    detail: String,
    /// What the log is told instead of the detail, where that may repeat what was sent.
    for_log: Option<String>,
    /// What the model said where data were asked for, if they were not to be had from it.
    raw_output: Option<String>,
    /// After how many seconds trying again may help.
    retry_after: Option<u64>,
}

/// When a client may try again whom a full queue has turned away: answers take seconds.
const QUEUE_MOVES_ON: u64 = 2;

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            for_log: None,
            raw_output: None,
            retry_after: None,
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The body or query is not what the route takes.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// A documented field or route that this version does not honour: said, never dropped.
    pub(crate) fn not_implemented(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, detail)
    }

    /// The server stops before the answer is whole.
    pub(crate) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
    }

    /// The answer's stream ended without an end.
    pub(crate) fn broke_off() -> Self {
        Self::internal("the answer broke off before it was done")
    }

    /// A panic, wherever it was caught. Its text is for the log: it says nothing to the sender.
    pub(crate) fn panicked() -> Self {
        Self::internal("a fault in the server broke off this request; its log says more")
    }

    fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// The documented body of an answer that should have been data and is not; the error itself if it
    /// is another one.
    pub(crate) fn into_unstructured(mut self) -> Result<UnstructuredBody, Self> {
        match self.raw_output.take() {
            Some(raw_output) => Ok(UnstructuredBody::new(raw_output, self.detail)),
            None => Err(self),
        }
    }

    /// The same, telling when trying again may help.
    pub(crate) fn retrying_after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// After how many seconds trying again may help.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// The status that it is answered with.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason, as the log may have it.
    pub(crate) fn for_log(&self) -> &str {
        self.for_log.as_ref().unwrap_or(&self.detail)
    }

    /// The reason, as the sender reads it.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(
                status = self.status.as_u16(),
                error = self.for_log(),
                "request failed"
            );
        }
        let detail = ErrorDetail(self.detail.clone());
        let mut response = (self.status, Json(ErrorBody::new(self.detail))).into_response();
        response.extensions_mut().insert(detail);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<longtrainer::Error> for ApiError {
    fn from(error: longtrainer::Error) -> Self {
        let told = Self {
            for_log: Some(error.for_log()),
            retry_after: (error.kind() == ErrorKind::Busy).then_some(QUEUE_MOVES_ON),
            ..Self::new(status_of(error.kind()), with_causes(&error))
        };
        let raw_output = match error {
            longtrainer::Error::AnswerCutOff { answer, .. }
            | longtrainer::Error::AnswerNotOfSchema { answer, .. } => Some(answer),
            _ => None,
        };
        Self { raw_output, ..told }
    }
}

impl From<std::fmt::Error> for ApiError {
    fn from(error: std::fmt::Error) -> Self {
        Self::internal(format!("the page could not be written: {error}"))
    }
}

impl From<JoinError> for ApiError {
    fn from(error: JoinError) -> Self {
        match error.is_panic() {
            true => Self::panicked(),
            false => Self::stopping(),
        }
    }
}

/// The table: kind of error to status.
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Unavailable | ErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a request whose handler panicked.
pub(crate) fn answer_to_panic(_panic: Box<dyn Any + Send>) -> Response {
    ApiError::panicked().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_off_the_runtime_is_a_server_error() {
        let joined = tokio::task::spawn_blocking(|| panic!("on purpose")).await;
        let error = ApiError::from(joined.unwrap_err());
        assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!error.detail().contains("on purpose"));
    }
}
