//! The figures of requests. Labels have few values whatever is sent: a route is its template, and a
//! method that HTTP does not know is `OTHER`.

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::buckets;

/// The figures of requests.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: Family<Answered, Counter>,
    duration: Durations,
    in_flight: Gauge,
    received: Family<Endpoint, Counter>,
    sent: Family<Endpoint, Counter>,
}

type Durations = Family<Endpoint, Histogram, fn() -> Histogram>;

/// What a request asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    pub(crate) route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: String,
}

impl HttpMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            duration: Durations::new_with_constructor(|| Histogram::new(buckets::REQUESTS)),
            in_flight: Gauge::default(),
            received: Family::default(),
            sent: Family::default(),
        };
        registry.register(
            "http_requests",
            "Requests that have ended, by their answer; `none` if the client left before it",
            metrics.requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time from a request to the end of its answer, streams included",
            metrics.duration.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests that are being answered",
            metrics.in_flight.clone(),
        );
        registry.register(
            "http_request_bytes",
            "Bytes of the bodies of requests, as far as they were read",
            metrics.received.clone(),
        );
        registry.register(
            "http_response_bytes",
            "Bytes of the bodies of answers, as far as they were sent",
            metrics.sent.clone(),
        );
        metrics
    }

    /// A request has come. What its body has of bytes goes to the counter that is returned.
    pub(crate) fn begin(&self, endpoint: &Endpoint) -> Counter {
        self.in_flight.inc();
        self.received.get_or_create_owned(endpoint)
    }

    /// It has ended, with this answer unless its client left before.
    pub(crate) fn end(
        &self,
        endpoint: Endpoint,
        status: Option<StatusCode>,
        seconds: f64,
        sent: u64,
    ) {
        self.in_flight.dec();
        self.duration
            .get_or_create_owned(&endpoint)
            .observe(seconds);
        self.sent.get_or_create_owned(&endpoint).inc_by(sent);
        let answered = Answered {
            method: endpoint.method,
            route: endpoint.route,
            status: status.map_or_else(|| "none".to_owned(), |status| status.as_str().to_owned()),
        };
        self.requests.get_or_create_owned(&answered).inc();
    }
}

/// The name of a method; a made-up one would be a label of its sender's choice.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}
