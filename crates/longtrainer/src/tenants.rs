//! Tenants: people who share an installation and see nothing of each other.
//!
//! A bot belongs to one tenant, or to none, and with it all that belongs to the bot. A tenant sees
//! its own bots alone; a bot of no tenant is the owner's, who sees all. The owner is whoever opens
//! the data directory: at the machine there is nothing to hide from, and a server gives each request
//! the view that its key is for. What is not the tenant's is not there for it: this is decided in the
//! store, below everything that could forget to ask.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::trainer::LongTrainer;

/// Most bytes of a tenant's name.
const MAX_BYTES: usize = 64;

/// Names a tenant: 1 to 64 letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

impl TenantId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        match (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
            true => Ok(Self(text.to_owned())),
            false => Err(Error::InvalidTenant {
                text: text.chars().take(MAX_BYTES).collect(),
            }),
        }
    }
}

impl TryFrom<String> for TenantId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl LongTrainer {
    /// What a tenant sees of this installation: its own bots with their documents, chats and jobs, and
    /// no keys. Models, indexes and memory are shared, so this costs next to nothing.
    ///
    /// ```no_run
    /// # fn main() -> longtrainer::Result<()> {
    /// let owner = longtrainer::LongTrainer::builder("./data").build()?;
    /// let acme = owner.for_tenant(&"acme".parse()?)?;
    /// let bot_id = acme.initialize_bot_id()?;
    /// assert!(owner.for_tenant(&"zeta".parse()?)?.bot(&bot_id).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OwnerOnly`] in the view of another tenant; one of the same is given.
    pub fn for_tenant(&self, tenant: &TenantId) -> Result<Self> {
        if self.tenant() == Some(tenant) {
            return Ok(self.clone());
        }
        self.owner_only("the view of a tenant")?;
        Ok(Self {
            inner: Arc::new(self.inner.of_tenant(tenant)),
        })
    }

    /// Whose view this is; `None` for the owner's.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.inner.tenant.as_ref()
    }

    /// Refuses `what` in the view of a tenant.
    pub(crate) fn owner_only(&self, what: &'static str) -> Result<()> {
        match self.tenant() {
            None => Ok(()),
            Some(_) => Err(Error::OwnerOnly { what }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_mistaken_are_refused() {
        for text in ["acme", "A-1_b.c", &"x".repeat(64)] {
            assert_eq!(text.parse::<TenantId>().unwrap().as_str(), text);
        }
        for text in ["", " acme", "a/b", "ä", "a\0", &"x".repeat(65)] {
            let error = text.parse::<TenantId>().unwrap_err();
            assert!(matches!(error, Error::InvalidTenant { .. }), "{error}");
        }
        assert!(serde_json::from_str::<TenantId>("\"a b\"").is_err());
    }
}
