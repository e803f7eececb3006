//! API keys: their records. There are few of them, so a listing reads all and sorts.

use jiff::Timestamp;

use crate::error::{Error, Failure};
use crate::ids;
use crate::key_store::{KeyRecord, StoredKey};
use crate::tables::KEYS;
use crate::transaction::{ReadTransaction, WriteTransaction};

pub(crate) fn create(txn: &WriteTransaction, key: &StoredKey) -> Result<(), Failure> {
    let key_id = &key.record.key_id;
    ids::check("key", key_id)?;
    let mut keys = txn.records(KEYS)?;
    if keys.contains(key_id)? {
        return Err(Failure::Store(Error::AlreadyExists {
            kind: "key",
            id: key_id.clone(),
        }));
    }
    keys.insert(key_id, key)
}

pub(crate) fn list(txn: &ReadTransaction) -> Result<Vec<StoredKey>, Failure> {
    let keys = txn.records(KEYS)?;
    let mut all: Vec<StoredKey> = keys
        .range(..)?
        .map(|entry| Ok::<_, Failure>(entry?.1))
        .collect::<Result<_, _>>()?;
    all.sort_by_key(|key| key.record.created_at);
    Ok(all)
}

pub(crate) fn revoke(
    txn: &WriteTransaction,
    key_id: &str,
    at: Timestamp,
) -> Result<KeyRecord, Failure> {
    change(txn, key_id, |key| {
        key.revoked_at.get_or_insert(at);
    })
}

pub(crate) fn note_use(
    txn: &WriteTransaction,
    key_id: &str,
    at: Timestamp,
) -> Result<KeyRecord, Failure> {
    change(txn, key_id, |key| key.last_used_at = Some(at))
}

fn change(
    txn: &WriteTransaction,
    key_id: &str,
    edit: impl FnOnce(&mut KeyRecord),
) -> Result<KeyRecord, Failure> {
    let mut keys = txn.records(KEYS)?;
    let mut key = keys.get(key_id)?.ok_or_else(|| {
        Failure::Store(Error::KeyNotFound {
            key_id: key_id.to_owned(),
        })
    })?;
    edit(&mut key.record);
    keys.insert(key_id, &key)?;
    Ok(key.record)
}
