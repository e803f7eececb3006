//! API keys, for the owner: made, listed, revoked. A running server has the data directory to itself,
//! so these are how keys change without stopping it.

use axum::Json;
use jiff::Timestamp;
use longtrainer::{KeyRecord, NewKey, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::ids::Ids;
use crate::openapi::parameters as path;
use crate::openapi::responses::{OwnersOnly, Refused, UnknownKey};
use crate::scoped::OwnerOnly;

/// A key that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRequest {
    /// What it is called, for whoever reads the list.
    #[schema(example = "Ada's laptop")]
    name: String,
    /// The tenant that it is for; without one it is the owner's, who sees all.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "acme")]
    tenant: Option<TenantId>,
    /// From when on it is refused; never if it is left out.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// A new key with its text, which is told here and never again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyMade {
    /// What requests carry as `X-API-Key` or `Authorization: Bearer`.
    key: String,
    #[serde(flatten)]
    record: KeyRecord,
}

/// Keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// The keys, oldest first.
    keys: Vec<KeyRecord>,
}

/// Makes a key
///
/// Its text is in the answer and nowhere else: only its hash is kept. Once a key was made, every request
/// needs one.
#[utoipa::path(
    post,
    path = "/keys",
    operation_id = "create_key",
    tag = "keys",
    request_body = KeyRequest,
    responses(
        (status = 200, description = "The key", body = KeyMade),
        OwnersOnly,
        Refused,
    ),
)]
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

/// Lists all keys, oldest first
///
/// Those that have expired or were revoked are among them.
#[utoipa::path(
    get,
    path = "/keys",
    operation_id = "list_keys",
    tag = "keys",
    responses(
        (status = 200, description = "The keys, without their texts", body = KeyList),
        OwnersOnly,
    ),
)]
pub(crate) async fn list(OwnerOnly(state): OwnerOnly) -> Result<Json<KeyList>, ApiError> {
    let keys = state.call(|trainer| trainer.list_keys()).await?;
    Ok(Json(KeyList { keys }))
}

/// Revokes a key
///
/// From then on it is refused. Doing it again changes nothing.
#[utoipa::path(
    delete,
    path = "/keys/{key_id}",
    operation_id = "revoke_key",
    tag = "keys",
    params(path::OfKey),
    responses(
        (status = 200, description = "The key", body = KeyRecord),
        OwnersOnly,
        UnknownKey,
    ),
)]
pub(crate) async fn revoke(
    OwnerOnly(state): OwnerOnly,
    Ids(key_id): Ids<String>,
) -> Result<Json<KeyRecord>, ApiError> {
    state
        .call(move |trainer| trainer.revoke_key(&key_id))
        .await
        .map(Json)
}
