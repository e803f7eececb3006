//! Transactions in terms of records: the tables of redb with the codec in front.
//!
//! [`ReadTransaction`] and [`WriteTransaction`] hand out [`Records`], through which no caller
//! ever sees an encoded byte. Index tables have no values, so redb's own handles serve for them.

use std::marker::PhantomData;
use std::ops::RangeBounds;

use redb::{AccessGuard, Key, ReadOnlyTable, ReadableTable, ReadableTableMetadata, Table};

use crate::codec::{self, Stored};
use crate::error::Failure;
use crate::tables::{IndexTable, RecordTable};

/// The bytes of a record, as redb sees them.
type Bytes = &'static [u8];

/// A snapshot of the store.
pub(crate) struct ReadTransaction(redb::ReadTransaction);

impl ReadTransaction {
    pub(crate) fn new(transaction: redb::ReadTransaction) -> Self {
        Self(transaction)
    }

    pub(crate) fn records<K: Key + 'static, T>(
        &self,
        table: RecordTable<K, T>,
    ) -> Result<Records<ReadOnlyTable<K, Bytes>, K, T>, Failure> {
        Ok(Records::new(
            table.name,
            self.0.open_table(table.definition())?,
        ))
    }

    pub(crate) fn index<K: Key + 'static>(
        &self,
        table: IndexTable<K>,
    ) -> Result<ReadOnlyTable<K, ()>, Failure> {
        Ok(self.0.open_table(table)?)
    }
}

/// A change of the store, not yet committed.
pub(crate) struct WriteTransaction(redb::WriteTransaction);

impl WriteTransaction {
    pub(crate) fn new(transaction: redb::WriteTransaction) -> Self {
        Self(transaction)
    }

    /// The transaction of redb, for what goes beyond records.
    pub(crate) fn inner(&self) -> &redb::WriteTransaction {
        &self.0
    }

    pub(crate) fn records<K: Key + 'static, T>(
        &self,
        table: RecordTable<K, T>,
    ) -> Result<Records<Table<'_, K, Bytes>, K, T>, Failure> {
        Ok(Records::new(
            table.name,
            self.0.open_table(table.definition())?,
        ))
    }

    pub(crate) fn index<K: Key + 'static>(
        &self,
        table: IndexTable<K>,
    ) -> Result<Table<'_, K, ()>, Failure> {
        Ok(self.0.open_table(table)?)
    }

    /// Makes the changes last; they are on the disk when this returns.
    pub(crate) fn commit(self) -> Result<(), Failure> {
        Ok(self.0.commit()?)
    }

    /// Drops the changes.
    pub(crate) fn abort(self) -> Result<(), Failure> {
        Ok(self.0.abort()?)
    }
}

/// An open table of records `T` under keys `K`.
pub(crate) struct Records<H, K, T> {
    name: &'static str,
    handle: H,
    types: PhantomData<fn() -> (K, T)>,
}

impl<H, K, T> Records<H, K, T> {
    fn new(name: &'static str, handle: H) -> Self {
        Self {
            name,
            handle,
            types: PhantomData,
        }
    }
}

impl<H, K, T> Records<H, K, T>
where
    H: ReadableTable<K, Bytes>,
    K: Key + 'static,
    T: Stored,
{
    /// The record under `key`, if there is one.
    pub(crate) fn get(&self, key: K::SelfType<'_>) -> Result<Option<T>, Failure> {
        self.get_as(key)
    }

    /// The record under `key`, decoded as a type with fewer fields.
    pub(crate) fn get_as<V: Stored>(&self, key: K::SelfType<'_>) -> Result<Option<V>, Failure> {
        match self.handle.get(&key)? {
            Some(bytes) => Ok(Some(codec::decode(self.name, &key, bytes.value())?)),
            None => Ok(None),
        }
    }

    /// Whether there is a record under `key`.
    pub(crate) fn contains(&self, key: K::SelfType<'_>) -> Result<bool, Failure> {
        Ok(self.handle.get(&key)?.is_some())
    }

    /// The records of a range of keys, in order.
    pub(crate) fn range<'k>(
        &self,
        range: impl RangeBounds<K::SelfType<'k>> + 'k,
    ) -> Result<impl DoubleEndedIterator<Item = Result<(AccessGuard<'_, K>, T), Failure>>, Failure>
    where
        K::SelfType<'k>: 'k,
    {
        let name = self.name;
        let entries = self.handle.range::<K::SelfType<'k>>(range)?;
        Ok(entries.map(move |entry| {
            let (key, bytes) = entry?;
            let record = codec::decode(name, &key.value(), bytes.value())?;
            Ok((key, record))
        }))
    }
}

impl<H: ReadableTableMetadata, K, T> Records<H, K, T> {
    /// How many records there are.
    pub(crate) fn rows(&self) -> Result<u64, Failure> {
        Ok(self.handle.len()?)
    }
}

impl<K: Key + 'static, T: Stored> Records<Table<'_, K, Bytes>, K, T> {
    /// Stores a record, in place of the one that had the key.
    pub(crate) fn insert(&mut self, key: K::SelfType<'_>, record: &T) -> Result<(), Failure> {
        let bytes = codec::encode(self.name, &key, record)?;
        self.handle.insert(&key, bytes.as_slice())?;
        Ok(())
    }

    /// Removes a record; says whether there was one.
    pub(crate) fn remove(&mut self, key: K::SelfType<'_>) -> Result<bool, Failure> {
        Ok(self.handle.remove(&key)?.is_some())
    }

    /// Removes the records of a range of keys.
    pub(crate) fn remove_range<'k>(
        &mut self,
        range: impl RangeBounds<K::SelfType<'k>> + 'k,
    ) -> Result<(), Failure>
    where
        K::SelfType<'k>: 'k,
    {
        self.handle
            .retain_in::<K::SelfType<'k>, _>(range, |_, _| false)?;
        Ok(())
    }
}
