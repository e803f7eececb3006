//! The id of a request: the sender's `X-Request-Id` if it can be one, and else a new one. It comes
//! back in the answer's header, stands in the body of an error and in every line that the log has
//! about the request.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::request_id::RequestId;

/// The header.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Most bytes of a sender's id.
const LONGEST: usize = 128;

tokio::task_local! {
    /// The id of the request that this task is answering. Errors are made far from the request.
    static CURRENT: String;
}

/// The id of the request that is being answered; `None` outside of one.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs `answering` as the answer to the request with this id.
pub(crate) async fn scope<T>(id: String, answering: impl Future<Output = T>) -> T {
    CURRENT.scope(id, answering).await
}

/// The same for what takes no time.
pub(crate) fn sync_scope<T>(id: &str, answering: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(id.to_owned(), answering)
}

/// The id of a request that has got one.
pub(crate) fn of(request: &Request) -> String {
    let id = request.extensions().get::<RequestId>();
    let text = id.and_then(|id| id.header_value().to_str().ok());
    text.unwrap_or_default().to_owned()
}

/// Takes ids away that cannot be ones, so that the request gets a new one: those that are long,
/// would forge lines of the log, or are several.
pub(crate) async fn only_sane(mut request: Request, next: Next) -> Response {
    if !is_sane(request.headers()) {
        request.headers_mut().remove(HEADER);
    }
    next.run(request).await
}

fn is_sane(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(HEADER).iter();
    match (given.next(), given.next()) {
        (Some(id), None) => is_id(id),
        _ => false,
    }
}

fn is_id(id: &HeaderValue) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_short_and_single() {
        let headers = |ids: &[&str]| -> HeaderMap {
            let ids = ids.iter().map(|id| (HEADER, id.parse().unwrap()));
            let mut headers = HeaderMap::new();
            ids.for_each(|(name, id)| _ = headers.append(name, id));
            headers
        };
        assert!(is_sane(&headers(&["6f1c-4a:Trace_1.0"])));
        assert!(is_sane(&headers(&[&"a".repeat(LONGEST)])));
        assert!(!is_sane(&headers(&[&"a".repeat(LONGEST + 1)])));
        assert!(!is_sane(&headers(&["a", "b"])));
        for id in ["", "a b", "a\tb", "level=ERROR", "a\"b", "{}"] {
            assert!(!is_sane(&headers(&[id])), "{id:?}");
        }
    }
}
