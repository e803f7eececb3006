//! The seam between the facade and whatever keeps its API keys. It is apart from [`Store`], because
//! what a tenant sees of a store has no keys in it.
//!
//! [`Store`]: crate::Store

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api_key::KeyHash;
use crate::error::Result;

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyRecord {
    /// 16 hexadecimal digits that name the key; they stand in its text.
    pub key_id: String,
    /// What its maker called it.
    pub name: String,
    /// The tenant that it belongs to; `None` for a key of the owner of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// About when it was last used: noted once an hour, so that a request need not wait for the disk.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked; `None` while it is not.
    pub revoked_at: Option<Timestamp>,
}

/// An API key as it is kept: its record, and the hash by which its owner is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredKey {
    /// All but the secret.
    #[serde(flatten)]
    pub record: KeyRecord,
    /// SHA-256 of the key's text.
    pub sha256: KeyHash,
}

/// What is remembered of API keys. Each call is one transaction, as those of [`Store`](crate::Store) are.
pub trait KeyStore: Send + Sync {
    /// Stores a new key. Fails if the id is taken.
    fn create_key(&self, key: &StoredKey) -> Result<()>;
    /// All keys, oldest first, revoked and expired ones included.
    fn keys(&self) -> Result<Vec<StoredKey>>;
    /// Notes that a key is revoked from `at` on; one that was revoked earlier stays as it is.
    fn revoke_key(&self, key_id: &str, at: Timestamp) -> Result<KeyRecord>;
    /// Notes when a key was last used.
    fn note_key_use(&self, key_id: &str, at: Timestamp) -> Result<KeyRecord>;
}
