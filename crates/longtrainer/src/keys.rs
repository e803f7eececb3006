//! API keys: made, listed, revoked, and recognised.
//!
//! All keys are held in memory beside the store, so that recognising one is a lookup by its id and a
//! comparison in constant time, and never waits for the disk. This process alone has the store open
//! and every change goes through here, so a key that is revoked is refused from the next request on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::{SignedDuration, Timestamp};
use longtrainer_store::{ApiKey, KeyRecord, KeyStore, StoredKey};

use crate::error::{Error, Result};
use crate::tenants::TenantId;
use crate::trainer::LongTrainer;

/// Most bytes of a key's name.
const MAX_NAME: usize = 200;
/// The last use of a key is noted this often: a write to the disk for every request would slow them
/// all.
const USE_NOTED_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// A key to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewKey {
    /// What to call it: who or what uses it.
    pub name: String,
    /// Whose bots it is for; `None` makes a key of the owner, who sees all.
    pub tenant: Option<TenantId>,
    /// From when on it is refused; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// Whether a request may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// The key is good, and this is its record.
    Admitted(KeyRecord),
    /// No key reads so.
    Unknown,
    /// The key was good once.
    Expired(KeyRecord),
    /// The key was taken back.
    Revoked(KeyRecord),
}

/// The keys of an installation.
pub(crate) struct KeyRing {
    store: Arc<dyn KeyStore>,
    /// Held by whoever changes a key, so that memory follows the store in order. Whoever only asks
    /// does not wait for the disk with it.
    changing: Mutex<()>,
    known: RwLock<HashMap<String, StoredKey>>,
}

impl KeyRing {
    pub(crate) fn open(store: Arc<dyn KeyStore>) -> Result<Self> {
        let keys = store.keys()?.into_iter();
        let known = keys.map(|key| (key.record.key_id.clone(), key)).collect();
        Ok(Self {
            store,
            changing: Mutex::default(),
            known: RwLock::new(known),
        })
    }

    fn create(&self, new: NewKey) -> Result<(ApiKey, KeyRecord)> {
        let key = ApiKey::random()?;
        let record = KeyRecord {
            key_id: key.id().to_owned(),
            name: new.name,
            tenant: new.tenant.map(String::from),
            created_at: Timestamp::now(),
            expires_at: new.expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        let stored = StoredKey {
            record: record.clone(),
            sha256: key.hash(),
        };
        let _alone = self.alone();
        self.store.create_key(&stored)?;
        self.write().insert(record.key_id.clone(), stored);
        Ok((key, record))
    }

    fn list(&self) -> Vec<KeyRecord> {
        let mut all: Vec<_> = self.read().values().map(|key| key.record.clone()).collect();
        all.sort_by(|a, b| (a.created_at, &a.key_id).cmp(&(b.created_at, &b.key_id)));
        all
    }

    fn revoke(&self, key_id: &str) -> Result<KeyRecord> {
        let _alone = self.alone();
        let record = self.store.revoke_key(key_id, Timestamp::now())?;
        self.remember(&record);
        Ok(record)
    }

    /// Many requests may find at once that the use of their key is due to be noted; the first does.
    fn note_use(&self, key_id: &str, now: Timestamp) -> Result<()> {
        let _alone = self.alone();
        let due = |key: &StoredKey| use_is_due(&key.record, now);
        if self.read().get(key_id).is_some_and(due) {
            self.remember(&self.store.note_key_use(key_id, now)?);
        }
        Ok(())
    }

    /// Takes over what the store now has.
    fn remember(&self, record: &KeyRecord) {
        if let Some(key) = self.write().get_mut(&record.key_id) {
            key.record.clone_from(record);
        }
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admission(&self, text: &str, now: Timestamp) -> Admission {
        let Some(record) = self.recognised(text) else {
            return Admission::Unknown;
        };
        if record.revoked_at.is_some() {
            return Admission::Revoked(record);
        }
        match record.expires_at.is_some_and(|end| end <= now) {
            true => Admission::Expired(record),
            false => Admission::Admitted(record),
        }
    }

    /// The record of the key that a text is.
    fn recognised(&self, text: &str) -> Option<KeyRecord> {
        let key = ApiKey::parse(text)?;
        let known = self.read();
        let stored = known.get(key.id())?;
        stored.sha256.is_of(&key).then(|| stored.record.clone())
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, StoredKey>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, StoredKey>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LongTrainer {
    /// Makes a key. Its text is in what is returned and nowhere else: the store keeps a hash of it.
    ///
    /// # Errors
    ///
    /// [`Error::OwnerOnly`] in the view of a tenant, [`Error::InvalidSetting`] for a name without
    /// text or of more than 200 bytes, or an end that is past.
    pub fn create_key(&self, new: NewKey) -> Result<(ApiKey, KeyRecord)> {
        self.owner_only("making a key")?;
        check_name(&new.name)?;
        check_end(new.expires_at)?;
        self.inner.keys.create(new)
    }

    /// All keys, oldest first, revoked and expired ones included.
    ///
    /// # Errors
    ///
    /// [`Error::OwnerOnly`] in the view of a tenant.
    pub fn list_keys(&self) -> Result<Vec<KeyRecord>> {
        self.owner_only("listing keys")?;
        Ok(self.inner.keys.list())
    }

    /// Revokes a key by its id. It stays in the listing and is refused from now on.
    ///
    /// # Errors
    ///
    /// [`Error::OwnerOnly`] in the view of a tenant; that of the store for an id that no key has.
    pub fn revoke_key(&self, key_id: &str) -> Result<KeyRecord> {
        self.owner_only("revoking a key")?;
        self.inner.keys.revoke(key_id)
    }

    /// Whether a key was ever made here. Revoking the last one does not open the doors.
    pub fn has_keys(&self) -> bool {
        !self.inner.keys.read().is_empty()
    }

    /// Whether a key is good, as it was sent. This reads memory only and never blocks for long.
    pub fn admission(&self, key: &str) -> Admission {
        self.inner.keys.admission(key, Timestamp::now())
    }

    /// Whether [`LongTrainer::note_key_use`] has something to write about this key.
    pub fn key_use_is_due(&self, key: &KeyRecord) -> bool {
        use_is_due(key, Timestamp::now())
    }

    /// Writes down that a key is used just now, unless that was done within the hour.
    pub fn note_key_use(&self, key_id: &str) -> Result<()> {
        self.inner.keys.note_use(key_id, Timestamp::now())
    }
}

fn use_is_due(key: &KeyRecord, now: Timestamp) -> bool {
    let since = key.last_used_at.map(|last| now.duration_since(last));
    since.is_none_or(|since| since >= USE_NOTED_EVERY)
}

fn check_name(name: &str) -> Result<()> {
    let fits = (1..=MAX_NAME).contains(&name.trim().len()) && !name.contains(char::is_control);
    if fits && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        name: "name",
        value: format!("{:?}", name.chars().take(MAX_NAME).collect::<String>()),
        expected: "1 to 200 bytes of text without control characters",
    })
}

fn check_end(expires_at: Option<Timestamp>) -> Result<()> {
    match expires_at {
        Some(end) if end <= Timestamp::now() => Err(Error::InvalidSetting {
            name: "expires_at",
            value: end.to_string(),
            expected: "in the future",
        }),
        _ => Ok(()),
    }
}
