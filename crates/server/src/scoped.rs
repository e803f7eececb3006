//! What a request may see.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::access::Caller;
use crate::api_error::ApiError;
use crate::state::AppState;

/// The state as the sender of a request may use it. Every handler takes it from here and nowhere
/// else, so that what a sender may not see is decided in one place.
pub(crate) struct Scoped(pub(crate) AppState);

/// The state for what only the owner may do: keys, and whatever all tenants share.
pub(crate) struct OwnerOnly(pub(crate) AppState);

impl FromRequestParts<AppState> for Scoped {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        match caller(parts)? {
            Caller::Owner { .. } => Ok(Self(state.clone())),
            Caller::Tenant { tenant, .. } => Ok(Self(state.for_tenant(tenant)?)),
            Caller::Nobody => Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "Missing X-API-Key header.",
            )),
        }
    }
}

impl FromRequestParts<AppState> for OwnerOnly {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        match caller(parts)? {
            Caller::Owner { .. } => Ok(Self(state.clone())),
            _ => Err(ApiError::forbidden(
                "this is for the owner of the server: a key without a tenant",
            )),
        }
    }
}

/// Who the gate says the sender is. A request that came past the gate is nobody's.
fn caller(parts: &Parts) -> Result<&Caller, ApiError> {
    parts.extensions.get().ok_or_else(|| {
        tracing::error!(uri = %parts.uri, "a request came past the gate");
        ApiError::broke_off()
    })
}
