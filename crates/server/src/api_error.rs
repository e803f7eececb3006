//! What a request that cannot be answered is told: a status and `{"detail": ...}`, the documented
//! form. The one place where an error of the facade becomes a status.

use std::any::Any;
use std::error::Error as StdError;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use longtrainer::ErrorKind;
use tokio::task::JoinError;

use crate::types::{ErrorBody, UnstructuredBody};

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct ApiError {
    status: StatusCode,
    detail: String,
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
                detail = self.detail,
                "request failed"
            );
        }
        let body = Json(ErrorBody {
            detail: self.detail,
        });
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<longtrainer::Error> for ApiError {
    fn from(error: longtrainer::Error) -> Self {
        let told = Self::new(status_of(error.kind()), with_causes(&error));
        let retry_after = (error.kind() == ErrorKind::Busy).then_some(QUEUE_MOVES_ON);
        let raw_output = match error {
            longtrainer::Error::AnswerCutOff { answer, .. }
            | longtrainer::Error::AnswerNotOfSchema { answer, .. } => Some(answer),
            _ => None,
        };
        Self {
            raw_output,
            retry_after,
            ..told
        }
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

/// An error's message and those of its causes that it does not repeat itself.
fn with_causes(error: &dyn StdError) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

/// The answer to a request whose handler panicked.
pub(crate) fn answer_to_panic(_panic: Box<dyn Any + Send>) -> Response {
    ApiError::panicked().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    #[test]
    fn causes_are_told_once() {
        let io = Box::new(Link {
            text: "disk full",
            source: None,
        });
        let repeated = Box::new(Link {
            text: "cannot write a.csv",
            source: Some(io),
        });
        let outer = Link {
            text: "cannot write a.csv",
            source: Some(repeated),
        };
        assert_eq!(with_causes(&outer), "cannot write a.csv: disk full");
    }

    #[tokio::test]
    async fn a_panic_off_the_runtime_is_a_server_error() {
        let joined = tokio::task::spawn_blocking(|| panic!("on purpose")).await;
        let error = ApiError::from(joined.unwrap_err());
        assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!error.detail().contains("on purpose"));
    }
}
