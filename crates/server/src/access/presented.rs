//! The key that a request carries: `X-API-Key`, as documented, or `Authorization: Bearer`, as
//! OpenAI's clients send it.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// The key as it was sent. A header that is there but cannot be a key gives an empty text, which no
/// key is.
pub(crate) fn presented_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get("x-api-key") {
        return Some(value.to_str().unwrap_or_default().trim());
    }
    let value = headers.get(AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn presented(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let headers = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (name.parse().unwrap(), value)
        });
        presented_key(&headers.collect()).map(str::to_owned)
    }

    #[test]
    fn both_headers_are_read_and_the_documented_one_wins() {
        assert_eq!(presented(&[("x-api-key", "a")]).as_deref(), Some("a"));
        let bearer = ("authorization", "bEARER  b ");
        assert_eq!(presented(&[bearer]).as_deref(), Some("b"));
        assert_eq!(
            presented(&[bearer, ("x-api-key", "a")]).as_deref(),
            Some("a")
        );
    }

    #[test]
    fn another_scheme_is_no_key_and_no_text_is_a_wrong_one() {
        assert_eq!(presented(&[]), None);
        assert_eq!(presented(&[("authorization", "Basic YTpi")]), None);
        assert_eq!(presented(&[("authorization", "Bearer")]), None);
        assert_eq!(presented(&[("x-api-key", "ä")]).as_deref(), Some(""));
    }
}
