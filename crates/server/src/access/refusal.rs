//! Why a request is turned away before anybody looks at it, in the words of whoever is asked: the
//! documented routes answer `{"detail": ...}` and tell a missing key (401) from a wrong one (403);
//! below `/v1/`, OpenAI's clients find their own shape, and 401 for both.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why a request is turned away.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Keys are on, and the request has none.
    MissingKey,
    /// The key is unknown, expired or revoked; the log says which.
    InvalidKey,
    /// Not from this machine, or from a page that may not.
    Foreign(String),
    /// More requests than the key may send; the next one after these seconds.
    TooMany { seconds: u64 },
}

impl Refusal {
    /// The answer to a request for `path`.
    pub(crate) fn into_response(self, path: &str) -> Response {
        let of_openai = path.starts_with("/v1/");
        let status = self.status(of_openai);
        let body = if of_openai {
            self.openai_body()
        } else {
            json!({ "detail": self.detail() })
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::TooMany { seconds } = self {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    fn status(&self, of_openai: bool) -> StatusCode {
        match self {
            Self::MissingKey => StatusCode::UNAUTHORIZED,
            Self::InvalidKey if of_openai => StatusCode::UNAUTHORIZED,
            Self::InvalidKey | Self::Foreign(_) => StatusCode::FORBIDDEN,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::MissingKey => "Missing X-API-Key header.".to_owned(),
            Self::InvalidKey => "Invalid API key.".to_owned(),
            Self::Foreign(reason) => reason.clone(),
            Self::TooMany { seconds } => {
                format!(
                    "more requests than this key may send in a minute: try again in {seconds} s"
                )
            }
        }
    }

    fn openai_body(&self) -> Value {
        let (kind, code) = match self {
            Self::MissingKey => ("invalid_request_error", None),
            Self::InvalidKey => ("invalid_request_error", Some("invalid_api_key")),
            Self::Foreign(_) => ("permission_error", None),
            Self::TooMany { .. } => ("requests", Some("rate_limit_exceeded")),
        };
        let message = match self {
            Self::MissingKey => {
                "Missing API key: send it as `Authorization: Bearer` or `X-API-Key`.".to_owned()
            }
            _ => self.detail(),
        };
        json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
    }
}
