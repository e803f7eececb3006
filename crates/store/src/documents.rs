//! Documents: adding them once each, listing them page by page, removing them with their chunks.
//!
//! The chunk span of a document stands in a table of its own and joins the record when it is
//! read. So indexing a document, or clearing an index, never rewrites the text, which may have
//! tens of megabytes.

use std::collections::BTreeSet;
use std::ops::{Bound, RangeInclusive};

use jiff::Timestamp;
use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use crate::bots;
use crate::chunks;
use crate::document_hash;
use crate::error::{Error, Failure};
use crate::ids::Sequence;
use crate::records::{AddedDocuments, ChunkSpan, DocumentRecord, NewDocument};
use crate::tables::{DOCUMENT_CHUNKS, DOCUMENT_HASHES, DOCUMENTS};
use crate::transaction::{ReadTransaction, Records, WriteTransaction};

/// The open table of documents.
type Documents<H> = Records<H, (&'static str, u64), DocumentRecord>;
/// The open table of chunk spans.
type Spans<H> = Records<H, (&'static str, u64), ChunkSpan>;

pub(crate) fn add(
    txn: &WriteTransaction,
    bot_id: &str,
    new: &[NewDocument],
) -> Result<AddedDocuments, Failure> {
    bots::get_for_change(txn, bot_id)?;
    let mut next = Sequence::Documents.next(txn)?;
    let mut documents = txn.records(DOCUMENTS)?;
    let mut hashes = txn.records(DOCUMENT_HASHES)?;
    let mut result = AddedDocuments::default();
    for document in new {
        let hash = document_hash::hash(document)?;
        if hashes.get((bot_id, &hash))?.is_some() {
            result.already_there += 1;
            continue;
        }
        let record = DocumentRecord {
            document_id: next,
            bot_id: bot_id.to_owned(),
            page_content: document.page_content.clone(),
            metadata: document.metadata.clone(),
            doc_hash: document_hash::to_hex(&hash),
            added_at: Timestamp::now(),
            chunks: None,
        };
        documents.insert((bot_id, next), &record)?;
        hashes.insert((bot_id, &hash), &next)?;
        result.added.push(next);
        next += 1;
    }
    Sequence::Documents.advance(txn, next)?;
    Ok(result)
}

pub(crate) fn get(
    txn: &ReadTransaction,
    bot_id: &str,
    document_id: u64,
) -> Result<DocumentRecord, Failure> {
    bots::get(txn, bot_id)?;
    let record = txn.records(DOCUMENTS)?.get((bot_id, document_id))?;
    let record = record.ok_or_else(|| not_found(bot_id, document_id))?;
    join(&txn.records(DOCUMENT_CHUNKS)?, record)
}

pub(crate) fn list(
    txn: &ReadTransaction,
    bot_id: &str,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<DocumentRecord>, Failure> {
    bots::get(txn, bot_id)?;
    let documents: Documents<_> = txn.records(DOCUMENTS)?;
    let spans = txn.records(DOCUMENT_CHUNKS)?;
    let first = match after {
        Some(id) => Bound::Excluded((bot_id, id)),
        None => Bound::Included((bot_id, 0)),
    };
    documents
        .range((first, Bound::Included((bot_id, u64::MAX))))?
        .take(limit)
        .map(|entry| join(&spans, entry?.1))
        .collect()
}

/// Completes a document with its chunk span.
fn join<H>(spans: &Spans<H>, mut document: DocumentRecord) -> Result<DocumentRecord, Failure>
where
    H: ReadableTable<(&'static str, u64), &'static [u8]>,
{
    document.chunks = spans.get((&document.bot_id, document.document_id))?;
    Ok(document)
}

pub(crate) fn remove(
    txn: &WriteTransaction,
    bot_id: &str,
    document_ids: &[u64],
) -> Result<Vec<u64>, Failure> {
    let mut bot = bots::get_for_change(txn, bot_id)?;
    let mut removed = Vec::new();
    for document_id in BTreeSet::from_iter(document_ids) {
        remove_one(txn, bot_id, *document_id)?;
        removed.extend(chunks::remove_of_document(txn, bot_id, *document_id)?);
    }
    if !removed.is_empty() {
        bot.vectors_revision += 1;
        bots::replace(txn, &bot)?;
    }
    Ok(removed)
}

/// Puts documents in the place of others. What is to go goes first, so that a document may come back
/// as it was.
pub(crate) fn replace(
    txn: &WriteTransaction,
    bot_id: &str,
    document_ids: &[u64],
    new: &[NewDocument],
) -> Result<AddedDocuments, Failure> {
    remove(txn, bot_id, document_ids)?;
    add(txn, bot_id, new)
}

/// The one field of a document that removing it needs.
#[derive(Serialize, Deserialize)]
struct HashOnly {
    doc_hash: String,
}

fn remove_one(txn: &WriteTransaction, bot_id: &str, document_id: u64) -> Result<(), Failure> {
    let mut documents = txn.records(DOCUMENTS)?;
    let stored: Option<HashOnly> = documents.get_as((bot_id, document_id))?;
    let stored = stored.ok_or_else(|| not_found(bot_id, document_id))?;
    documents.remove((bot_id, document_id))?;
    if let Some(hash) = document_hash::from_hex(&stored.doc_hash) {
        txn.records(DOCUMENT_HASHES)?.remove((bot_id, &hash))?;
    }
    Ok(())
}

/// Removes every document of a bot, but not their chunks.
pub(crate) fn remove_all(txn: &WriteTransaction, bot_id: &str) -> Result<(), Failure> {
    txn.records(DOCUMENTS)?.remove_range(all_of(bot_id))?;
    txn.records(DOCUMENT_HASHES)?
        .remove_range((bot_id, &[u8::MIN; 32])..=(bot_id, &[u8::MAX; 32]))?;
    Ok(())
}

/// Fails if the bot has no such document.
pub(crate) fn require(
    txn: &WriteTransaction,
    bot_id: &str,
    document_id: u64,
) -> Result<(), Failure> {
    let documents = txn.records(DOCUMENTS)?;
    match documents.contains((bot_id, document_id))? {
        true => Ok(()),
        false => Err(not_found(bot_id, document_id)),
    }
}

/// Every key that begins with an id and ends with a number.
pub(crate) fn all_of(id: &str) -> RangeInclusive<(&str, u64)> {
    (id, u64::MIN)..=(id, u64::MAX)
}

fn not_found(bot_id: &str, document_id: u64) -> Failure {
    Failure::Store(Error::DocumentNotFound {
        bot_id: bot_id.to_owned(),
        document_id,
    })
}
