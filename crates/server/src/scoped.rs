//! What a request may see.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::state::AppState;

/// The state as the sender of a request may use it. Every handler takes it from here and nowhere
/// else, so that what a sender may not see is decided in one place.
pub(crate) struct Scoped(pub(crate) AppState);

impl FromRequestParts<AppState> for Scoped {
    type Rejection = Infallible;

    async fn from_request_parts(
        _parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self(state.clone()))
    }
}
