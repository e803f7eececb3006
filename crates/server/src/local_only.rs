//! Keeps web pages out.
//!
//! Listening on loopback keeps other machines out, but not the browser on this one: any page may
//! send requests to 127.0.0.1, and a page whose name is made to point there (DNS rebinding) may
//! even read the answers. So a request must name a loopback host, which a rebound one does not, and
//! a request that a page of another origin sends, which always has `Origin`, is refused. For the
//! same reason no answer has a CORS header: the reference system allows every origin, so that any
//! page can drive it.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api_error::ApiError;

/// Lets requests from this machine pass that no foreign page has sent.
pub(crate) async fn local_only(request: Request, next: Next) -> Response {
    match check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check(request: &Request) -> Result<(), ApiError> {
    let host = header(request.headers(), HOST.as_str());
    if let Some(target) = request.uri().authority() {
        check_loopback(target.as_str())?;
    }
    check_loopback(host)?;
    check_origin(request.headers(), host)
}

fn check_loopback(host: &str) -> Result<(), ApiError> {
    if is_loopback(host) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "this server answers to loopback names only (localhost, 127.0.0.1, [::1]), not to {host:?}"
    )))
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    match name.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), ApiError> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    if origin.as_bytes() == format!("http://{host}").as_bytes() {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "requests from web pages of another origin are refused",
    ))
}

/// A header's value; empty if it is missing, or is no text.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_known() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8000",
            "127.9.9.9",
            "[::1]:8000",
        ] {
            assert!(is_loopback(host), "{host}");
        }
    }

    #[test]
    fn every_other_name_is_foreign() {
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:8000",
            "127.0.0.1.evil.example",
            "0.0.0.0",
            "localhost@evil.example",
            "10.0.0.1:8000",
            "[::]:8000",
            "2130706433",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
