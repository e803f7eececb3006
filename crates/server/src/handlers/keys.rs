//! API keys, for the owner: made, listed, revoked. A running server has the data directory to itself,
//! so these are how keys change without stopping it.

use axum::Json;
use jiff::Timestamp;
use longtrainer::{KeyRecord, NewKey, TenantId};
use serde::{Deserialize, Serialize};

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::scoped::OwnerOnly;

/// `POST /keys`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRequest {
    name: String,
    #[serde(default)]
    tenant: Option<TenantId>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// A new key with its text, which is told here and never again.
#[derive(Debug, Serialize)]
pub(crate) struct KeyMade {
    key: String,
    #[serde(flatten)]
    record: KeyRecord,
}

/// `GET /keys`.
#[derive(Debug, Serialize)]
pub(crate) struct KeyList {
    keys: Vec<KeyRecord>,
}

pub(crate) async fn create(
    OwnerOnly(state): OwnerOnly,
    JsonBody(request): JsonBody<KeyRequest>,
) -> Result<Json<KeyMade>, ApiError> {
    let new = NewKey {
        name: request.name,
        tenant: request.tenant,
        expires_at: request.expires_at,
    };
    let (key, record) = state.call(|trainer| trainer.create_key(new)).await?;
    Ok(Json(KeyMade {
        key: key.as_str().to_owned(),
        record,
    }))
}

pub(crate) async fn list(OwnerOnly(state): OwnerOnly) -> Result<Json<KeyList>, ApiError> {
    let keys = state.call(|trainer| trainer.list_keys()).await?;
    Ok(Json(KeyList { keys }))
}

pub(crate) async fn revoke(
    OwnerOnly(state): OwnerOnly,
    Ids(key_id): Ids<String>,
) -> Result<Json<KeyRecord>, ApiError> {
    state
        .call(move |trainer| trainer.revoke_key(&key_id))
        .await
        .map(Json)
}
