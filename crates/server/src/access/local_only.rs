//! Keeps web pages out while keys are off.
//!
//! Listening on loopback keeps other machines out, but not the browser on this one: any page may
//! send requests to 127.0.0.1, and a page whose name is made to point there (DNS rebinding) may
//! even read the answers. So a request must name a loopback host, which a rebound one does not, and
//! a request that a page of another origin sends, which always has `Origin`, is refused. For the
//! same reason no answer has a CORS header unless the operator names origins: the reference system
//! allows every origin, so that any page can drive it.
//!
//! With keys on none of this is needed: a browser sends no key by itself, as it would a cookie, so a
//! page without one gets nothing, whatever its name points to.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;

use super::refusal::Refusal;

/// Lets requests from this machine pass that no foreign page has sent. Pages of the origins that the
/// operator named are not foreign.
pub(crate) fn check(request: &Request, cors_origins: &[String]) -> Result<(), Refusal> {
    let host = header(request.headers(), HOST.as_str());
    if let Some(target) = request.uri().authority() {
        check_loopback(target.as_str())?;
    }
    check_loopback(host)?;
    check_origin(request.headers(), host, cors_origins)
}

fn check_loopback(host: &str) -> Result<(), Refusal> {
    if is_loopback_name(host) {
        return Ok(());
    }
    Err(Refusal::Foreign(format!(
        "this server answers to loopback names only (localhost, 127.0.0.1, [::1]), not to {host:?}"
    )))
}

/// Whether a host, with or without a port, can only be this machine.
fn is_loopback_name(host: &str) -> bool {
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

fn check_origin(headers: &HeaderMap, host: &str, named: &[String]) -> Result<(), Refusal> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let is = |allowed: &str| origin.as_bytes() == allowed.as_bytes();
    let own = is(&format!("http://{host}")) || is(&format!("https://{host}"));
    if own || named.iter().any(|name| is(name)) {
        return Ok(());
    }
    Err(Refusal::Foreign(
        "requests from web pages of another origin are refused".to_owned(),
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
            assert!(is_loopback_name(host), "{host}");
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
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
