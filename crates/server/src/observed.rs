//! What is told of every request: one line in the log, and the figures of [`crate::metrics`]. Both
//! come when the answer has been sent to its end, or its client has left; a stream ends long after
//! its handler.
//!
//! The line has the template of the route and never the address, so that no id, no file name and
//! nothing that was asked gets into a log.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tracing::Span;
use tracing::field::Empty;

use crate::metrics::Metrics;
use crate::metrics::http::{Endpoint, method_name};
use crate::request_id;

/// What requests are counted as that no route takes.
const NO_ROUTE: &str = "none";

/// The span that all lines about a request stand in. Whoever finds out whose key it came with
/// records its id as `key`.
pub(crate) fn span(request: &Request) -> Span {
    let Endpoint { method, route } = endpoint(request);
    let id = request_id::of(request);
    // At the highest level, so that no filter takes the id off a line that it lets pass.
    tracing::error_span!("request", id, method, route, key = Empty)
}

/// Watches a request to the end of its answer. It runs inside the request's [`span`].
pub(crate) async fn observe(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let endpoint = endpoint(&request);
    let id = request_id::of(&request);
    let received = metrics.http.begin(&endpoint);
    let mut exchange = Exchange {
        metrics,
        endpoint,
        id: id.clone(),
        span: Span::current(),
        begun: Instant::now(),
        status: None,
        sent: 0,
        whole: false,
    };
    let request = request.map(|body| {
        let counted = body.map_frame(move |frame| {
            received.inc_by(frame.data_ref().map_or(0, Bytes::len) as u64);
            frame
        });
        Body::new(counted)
    });
    let response = request_id::scope(id, next.run(request)).await;
    exchange.status = Some(response.status());
    response.map(|body| Body::new(Observed { body, exchange }))
}

fn endpoint(request: &Request) -> Endpoint {
    let route = request.extensions().get::<MatchedPath>();
    Endpoint {
        method: method_name(request.method()),
        route: route.map_or(NO_ROUTE, MatchedPath::as_str).to_owned(),
    }
}

/// A request and what has come of it. When it goes, it is told.
struct Exchange {
    metrics: Arc<Metrics>,
    endpoint: Endpoint,
    id: String,
    span: Span,
    begun: Instant,
    /// `None` if the client left before there was an answer.
    status: Option<StatusCode>,
    /// Bytes of the answer's body.
    sent: u64,
    /// Whether all of it was sent.
    whole: bool,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        tracing::info!(
            parent: &self.span,
            status = self.status.as_ref().map(StatusCode::as_u16),
            duration_ms = (seconds * 1e6).round() / 1e3,
            bytes = self.sent,
            whole = self.whole,
            "answered"
        );
        let http = &self.metrics.http;
        http.end(self.endpoint.clone(), self.status, seconds, self.sent);
    }
}

/// The body of an answer, counted.
struct Observed {
    body: Body,
    exchange: Exchange,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, exchange } = &mut *self;
        let entered = exchange.span.enter();
        let polled =
            request_id::sync_scope(&exchange.id, || Pin::new(&mut *body).poll_frame(context));
        drop(entered);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                exchange.sent += frame.data_ref().map_or(0, Bytes::len) as u64;
                exchange.whole = body.is_end_stream();
            }
            Poll::Ready(Some(Err(_))) => exchange.whole = false,
            Poll::Ready(None) => exchange.whole = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
