//! How much the store holds, from what redb keeps about its tables: nothing is counted one by one.

use crate::error::Failure;
use crate::records::StoreFigures;
use crate::tables::{
    BOTS, CHATS, CHUNKS, DOCUMENTS, JOBS, PICTURES, RecordTable, TURNS, VISION_TURNS,
};
use crate::transaction::ReadTransaction;

/// The figures of one snapshot, but for the size of the file.
pub(crate) fn take(txn: &ReadTransaction) -> Result<StoreFigures, Failure> {
    Ok(StoreFigures {
        bots: rows(txn, BOTS)?,
        documents: rows(txn, DOCUMENTS)?,
        chunks: rows(txn, CHUNKS)?,
        chats: rows(txn, CHATS)?,
        turns: rows(txn, TURNS)? + rows(txn, VISION_TURNS)?,
        pictures: rows(txn, PICTURES)?,
        jobs: rows(txn, JOBS)?,
        file_bytes: 0,
    })
}

fn rows<K: redb::Key + 'static, T>(
    txn: &ReadTransaction,
    table: RecordTable<K, T>,
) -> Result<u64, Failure> {
    txn.records(table)?.rows()
}
