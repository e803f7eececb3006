//! Who may talk to the server, and as whom.
//!
//! Keys are on as soon as one was ever made, or when the operator asks for them. Then every request
//! but those for the open routes carries one, and sees what its key is for. While they are off the
//! server listens on loopback only and whoever reaches it is the owner; see [`local_only`].
//!
//! The body of a request that is refused is not read.

mod caller;
mod local_only;
mod presented;
mod rate;
mod refusal;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use longtrainer::{Admission, KeyRecord};
use tracing::Span;

use crate::state::AppState;

pub(crate) use caller::Caller;
pub(crate) use rate::RateLimits;

use presented::presented_key;
use refusal::Refusal;

/// What a load balancer, a person with a browser and a client generator need before they have a key.
/// None of it tells anything about what is stored.
const OPEN: [&str; 4] = ["/health", "/ready", "/docs", "/openapi.json"];

/// Lets a request pass whose sender may be here, and notes who that is.
pub(crate) async fn gate(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&state, &request) {
        Ok(caller) => {
            if let Some(key_id) = caller.key_id() {
                Span::current().record("key", &**key_id);
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(request.uri().path()),
    }
}

fn admit(state: &AppState, request: &Request) -> Result<Caller, Refusal> {
    let caller = if state.keys_are_on() {
        by_key(state, request)?
    } else {
        local_only::check(request, &state.options.cors_origins)?;
        Caller::owner()
    };
    state.rate_limits.check(&caller)?;
    Ok(caller)
}

/// Whoever the key is for.
fn by_key(state: &AppState, request: &Request) -> Result<Caller, Refusal> {
    match presented_key(request.headers()) {
        Some(key) => recognised(state, key),
        None if is_open(request.uri().path()) => Ok(Caller::Nobody),
        None => Err(Refusal::MissingKey),
    }
}

fn recognised(state: &AppState, key: &str) -> Result<Caller, Refusal> {
    let refused = |record: Option<KeyRecord>, why| {
        let key_id = record.map(|key| key.key_id);
        tracing::info!(key_id, why, "a key was refused");
        Err(Refusal::InvalidKey)
    };
    match state.admission(key) {
        Admission::Admitted(record) => {
            state.note_key_use(&record);
            Caller::of_key(record).ok_or(Refusal::InvalidKey)
        }
        Admission::Unknown => refused(None, "unknown"),
        Admission::Expired(record) => refused(Some(record), "expired"),
        Admission::Revoked(record) => refused(Some(record), "revoked"),
    }
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || path.starts_with("/docs/")
}
