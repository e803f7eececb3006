//! Why a request is turned away before anybody looks at it. The documented routes tell a missing key
//! (401) from a wrong one (403); below `/v1`, where errors get OpenAI's shape, both are 401.

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api_error::ApiError;
use crate::openai::is_openais;

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
        let of_openai = is_openais(path);
        let error = ApiError::new(self.status(of_openai), self.detail(of_openai));
        let error = match self {
            Self::TooMany { seconds } => error.retrying_after(seconds),
            _ => error,
        };
        let mut response = error.into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
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

    fn detail(&self, of_openai: bool) -> String {
        match self {
            Self::MissingKey if of_openai => {
                "Missing API key: send it as `Authorization: Bearer` or `X-API-Key`.".to_owned()
            }
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
}
