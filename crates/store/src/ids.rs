//! The ids that callers choose, and the ids that the store gives out.
//!
//! An id of a bot, chat or job may hold any character; the keys of the tables keep ids apart
//! whatever is in them. Only their length is bounded, since they stand in every key. Ids of
//! documents and chunks are numbers that grow and are never used twice, also after deletion.

use crate::error::{Error, Failure, Result};
use crate::tables::SEQUENCES;
use crate::transaction::WriteTransaction;

/// Most bytes of an id.
const MAX_BYTES: usize = 256;

/// Checks an id that is about to be stored; `kind` is what it names.
pub(crate) fn check(kind: &'static str, id: &str) -> Result<()> {
    if (1..=MAX_BYTES).contains(&id.len()) {
        return Ok(());
    }
    Err(Error::InvalidId {
        kind,
        begins: id.chars().take(64).collect(),
        length: id.len(),
    })
}

/// A kind of numbered ids.
#[derive(Clone, Copy)]
pub(crate) enum Sequence {
    Documents,
    Chunks,
}

impl Sequence {
    fn key(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Chunks => "chunks",
        }
    }

    /// The first id that is free.
    pub(crate) fn next(self, txn: &WriteTransaction) -> Result<u64, Failure> {
        Ok(txn.records(SEQUENCES)?.get(self.key())?.unwrap_or(0))
    }

    /// Notes that all ids below `next` have been given out.
    pub(crate) fn advance(self, txn: &WriteTransaction, next: u64) -> Result<(), Failure> {
        txn.records(SEQUENCES)?.insert(self.key(), &next)
    }
}
