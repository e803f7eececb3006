//! Errors as OpenAI's clients know them: `{"error": {"message", "type", "param", "code"}}`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use longtrainer::models::Error as ModelsError;
use longtrainer::{Error, InferenceError, StoreError};
use serde_json::{Value, json};

use crate::api_error::ApiError;

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct OpenAiError {
    status: StatusCode,
    message: String,
    /// What the log is told instead of the message, where that may repeat what was sent.
    for_log: Option<String>,
    param: Option<String>,
    code: Option<&'static str>,
    /// After how many seconds trying again may help.
    retry_after: Option<u64>,
}

/// Marks a response that has the shape already.
#[derive(Clone)]
pub(super) struct Shaped;

impl OpenAiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => Some("invalid_api_key"),
            StatusCode::TOO_MANY_REQUESTS => Some("rate_limit_exceeded"),
            _ => None,
        };
        Self {
            status,
            message: message.into(),
            for_log: None,
            param: None,
            code,
            retry_after: None,
        }
    }

    /// A field that is wrong.
    pub(super) fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(StatusCode::BAD_REQUEST, message)
        }
    }

    /// A field, or a value of it, that means something elsewhere and cannot be honoured here.
    pub(super) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::field(param, message).coded("unsupported_value")
    }

    pub(super) fn no_such_model(model: &str) -> Self {
        let message = format!(
            "there is no model {model:?} here that you can use; GET /v1/models lists those that you can"
        );
        Self {
            status: StatusCode::NOT_FOUND,
            ..Self::field("model", message).coded("model_not_found")
        }
    }

    pub(super) fn coded(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The same about another field.
    pub(super) fn about(self, param: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..self
        }
    }

    /// As it stands in a body and in a stream.
    pub(super) fn body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        }})
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The response; the log hears nothing of it.
    pub(super) fn response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        response.extensions_mut().insert(Shaped);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }
}

impl IntoResponse for OpenAiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(
                status = self.status.as_u16(),
                error = self.for_log.as_ref().unwrap_or(&self.message),
                "request failed"
            );
        }
        self.response()
    }
}

impl From<ApiError> for OpenAiError {
    fn from(error: ApiError) -> Self {
        // OpenAI has one status for everything that is wrong with a request.
        let status = match error.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        Self {
            for_log: Some(error.for_log().to_owned()),
            retry_after: error.retry_after(),
            ..Self::new(status, error.detail())
        }
    }
}

impl From<Error> for OpenAiError {
    fn from(error: Error) -> Self {
        let (status, param, code) = match &error {
            Error::Models(ModelsError::UnknownModel { name, .. }) => {
                return Self::no_such_model(name);
            }
            Error::Store(StoreError::BotNotFound { bot_id }) => {
                return Self::no_such_model(bot_id);
            }
            Error::Models(ModelsError::Missing { .. }) => (
                Some(StatusCode::NOT_FOUND),
                Some("model"),
                Some("model_not_found"),
            ),
            Error::ModelRole { .. } | Error::ModelDoesNotSee { .. } => (None, Some("model"), None),
            Error::PromptTooLong { .. }
            | Error::Inference(InferenceError::PromptTooLong { .. }) => {
                (None, Some("messages"), Some("context_length_exceeded"))
            }
            Error::TextTooLong { .. } => (None, Some("input"), Some("context_length_exceeded")),
            Error::Inference(InferenceError::InvalidRequest { field, .. }) => {
                (None, Some(*field), None)
            }
            Error::Inference(InferenceError::Grammar { .. }) => {
                (None, None, Some("invalid_schema"))
            }
            Error::Inference(InferenceError::QueueFull { .. }) => (None, None, Some("queue_full")),
            Error::EmptyQuestion
            | Error::LastMessage
            | Error::QuestionTooLarge { .. }
            | Error::TooManyPictures { .. }
            | Error::Picture(_) => (None, Some("messages"), None),
            _ => (None, None, None),
        };
        let param = param.map(str::to_owned);
        let told = Self::from(ApiError::from(error));
        Self {
            status: status.unwrap_or(told.status),
            param,
            code: code.or(told.code),
            ..told
        }
    }
}
