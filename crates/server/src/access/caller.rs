//! Who sends a request.

use std::sync::Arc;

use longtrainer::{KeyRecord, TenantId};

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The owner of the data directory: somebody at this machine while keys are off, or a key without
    /// a tenant.
    Owner { key_id: Option<Arc<str>> },
    /// A key of a tenant.
    Tenant { tenant: TenantId, key_id: Arc<str> },
    /// Somebody without a key, on a route that is open to all.
    Nobody,
}

impl Caller {
    /// The owner, without a key.
    pub(crate) fn owner() -> Self {
        Self::Owner { key_id: None }
    }

    /// Whoever a key is for; `None` if the tenant that it names cannot be one.
    pub(crate) fn of_key(key: KeyRecord) -> Option<Self> {
        let key_id = key.key_id.into();
        Some(match key.tenant {
            Some(tenant) => Self::Tenant {
                tenant: tenant.parse().ok()?,
                key_id,
            },
            None => Self::Owner {
                key_id: Some(key_id),
            },
        })
    }

    /// Under what its requests are counted.
    pub(crate) fn key_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Owner { key_id } => key_id.as_ref(),
            Self::Tenant { key_id, .. } => Some(key_id),
            Self::Nobody => None,
        }
    }
}
