//! Which web pages of other origins may use the server from a browser: those that the operator named,
//! and none besides.

use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::uri::Uri;
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::error::{Error, Result};
use crate::request_id;

/// How long a browser need not ask again.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What lets the named origins in. A browser is told no credentials: a key is sent by the page's own
/// code or not at all.
pub(crate) fn layer(origins: &[String]) -> CorsLayer {
    let named = origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let headers = [
        ACCEPT,
        AUTHORIZATION,
        CONTENT_TYPE,
        HeaderName::from_static("x-api-key"),
        request_id::HEADER,
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(named))
        .allow_methods(methods)
        .allow_headers(headers)
        .expose_headers([RETRY_AFTER, request_id::HEADER])
        .max_age(REMEMBERED)
}

/// An origin is a scheme, a host and perhaps a port, as a browser writes it. `*` is none: it would let
/// every page that anybody opens on this machine in.
pub(crate) fn check(origin: &str) -> Result<()> {
    let as_browsers_write_it = || {
        let uri: Uri = origin.parse().ok()?;
        let scheme = uri
            .scheme_str()
            .filter(|s| matches!(*s, "http" | "https"))?;
        let host = uri.host().filter(|host| !host.contains('*'))?;
        let port = uri.port_u16().map(|port| format!(":{port}"));
        Some(format!("{scheme}://{host}{}", port.unwrap_or_default()).to_lowercase())
    };
    match as_browsers_write_it() {
        Some(written) if written == origin => Ok(()),
        _ => Err(Error::Origin {
            origin: origin.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_browser_would_send_is_an_origin() {
        for origin in [
            "https://app.example",
            "http://localhost:3000",
            "http://[::1]:5",
        ] {
            check(origin).unwrap();
        }
        for origin in [
            "*",
            "",
            "null",
            "app.example",
            "https://app.example/",
            "https://app.example/path",
            "https://App.example",
            "https://me@app.example",
            "ftp://app.example",
            "https://*.example.org:x",
        ] {
            let error = check(origin).unwrap_err();
            assert!(matches!(error, Error::Origin { .. }), "{error}");
        }
    }
}
