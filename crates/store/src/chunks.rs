//! Chunks and their vectors: what makes documents searchable.
//!
//! A chunk and its vector have the same key in two tables, so that a pass over all vectors reads
//! no text. Every change of a bot's vectors raises its `vectors_revision` in the same
//! transaction; that is how an index file beside the store is found to be stale.

use jiff::Timestamp;

use crate::bots;
use crate::codec::Vector;
use crate::documents::{self, all_of};
use crate::error::{Error, Failure, Result, VectorFault};
use crate::ids::Sequence;
use crate::records::{BotRecord, ChunkRecord, ChunkSpan, IndexedDocument, NewChunk, VectorSpace};
use crate::tables::{CHUNKS, DOCUMENT_CHUNKS, VECTORS};
use crate::transaction::{ReadTransaction, WriteTransaction};

pub(crate) fn index(
    txn: &WriteTransaction,
    bot_id: &str,
    space: &VectorSpace,
    indexed: &[IndexedDocument],
) -> Result<Vec<Vec<u64>>, Failure> {
    let mut bot = bots::get_for_change(txn, bot_id)?;
    check_space(&bot, space)?;
    check_vectors(space, indexed)?;
    if indexed.is_empty() {
        return Ok(Vec::new());
    }
    let mut next = Sequence::Chunks.next(txn)?;
    let mut ids = Vec::with_capacity(indexed.len());
    for document in indexed {
        documents::require(txn, bot_id, document.document_id)?;
        remove_of_document(txn, bot_id, document.document_id)?;
        insert(txn, bot_id, document, next)?;
        let end = next + document.chunks.len() as u64;
        ids.push((next..end).collect());
        next = end;
    }
    Sequence::Chunks.advance(txn, next)?;
    bot.vector_space.get_or_insert_with(|| space.clone());
    raise_revision(txn, bot)?;
    Ok(ids)
}

fn check_space(bot: &BotRecord, given: &VectorSpace) -> Result<()> {
    match &bot.vector_space {
        Some(stored) if stored != given => Err(Error::VectorSpaceMismatch {
            bot_id: bot.bot_id.clone(),
            stored: Box::new(stored.clone()),
            given: Box::new(given.clone()),
        }),
        _ => Ok(()),
    }
}

fn check_vectors(space: &VectorSpace, indexed: &[IndexedDocument]) -> Result<()> {
    for document in indexed {
        for (place, chunk) in document.chunks.iter().enumerate() {
            if let Some(reason) = fault(&chunk.vector, space.dimension) {
                return Err(Error::InvalidVector {
                    document_id: document.document_id,
                    chunk: place,
                    reason,
                });
            }
        }
    }
    Ok(())
}

fn fault(vector: &[f32], dimension: usize) -> Option<VectorFault> {
    if vector.len() != dimension {
        return Some(VectorFault::Dimension {
            expected: dimension,
            found: vector.len(),
        });
    }
    let component = vector.iter().position(|value| !value.is_finite())?;
    Some(VectorFault::NotFinite {
        component,
        value: vector[component],
    })
}

/// Stores the chunks of a document under ids from `first` on.
fn insert(
    txn: &WriteTransaction,
    bot_id: &str,
    document: &IndexedDocument,
    first: u64,
) -> Result<(), Failure> {
    let mut chunks = txn.records(CHUNKS)?;
    let mut vectors = txn.records(VECTORS)?;
    for (ordinal, chunk) in (0..).zip(&document.chunks) {
        let chunk_id = first + ordinal;
        let NewChunk {
            text,
            start,
            vector,
        } = chunk.clone();
        let record = ChunkRecord {
            chunk_id,
            document_id: document.document_id,
            ordinal,
            start,
            text,
        };
        chunks.insert((bot_id, chunk_id), &record)?;
        vectors.insert((bot_id, chunk_id), &Vector(vector))?;
    }
    let span = ChunkSpan {
        first,
        count: document.chunks.len() as u64,
        chunking: document.chunking,
    };
    txn.records(DOCUMENT_CHUNKS)?
        .insert((bot_id, document.document_id), &span)
}

/// Removes the chunks and vectors of a document; returns their ids.
pub(crate) fn remove_of_document(
    txn: &WriteTransaction,
    bot_id: &str,
    document_id: u64,
) -> Result<Vec<u64>, Failure> {
    let mut spans = txn.records(DOCUMENT_CHUNKS)?;
    let Some(span) = spans.get((bot_id, document_id))? else {
        return Ok(Vec::new());
    };
    spans.remove((bot_id, document_id))?;
    let ids = span.first..span.first + span.count;
    let keys = (bot_id, ids.start)..(bot_id, ids.end);
    txn.records(CHUNKS)?.remove_range(keys.clone())?;
    txn.records(VECTORS)?.remove_range(keys)?;
    Ok(ids.collect())
}

pub(crate) fn clear(txn: &WriteTransaction, bot_id: &str) -> Result<(), Failure> {
    let mut bot = bots::get_for_change(txn, bot_id)?;
    remove_all(txn, bot_id)?;
    bot.vector_space = None;
    raise_revision(txn, bot)
}

/// Removes every chunk and vector of a bot.
pub(crate) fn remove_all(txn: &WriteTransaction, bot_id: &str) -> Result<(), Failure> {
    txn.records(DOCUMENT_CHUNKS)?.remove_range(all_of(bot_id))?;
    txn.records(CHUNKS)?.remove_range(all_of(bot_id))?;
    txn.records(VECTORS)?.remove_range(all_of(bot_id))
}

/// Notes that the vectors of a bot have changed.
pub(crate) fn raise_revision(txn: &WriteTransaction, mut bot: BotRecord) -> Result<(), Failure> {
    bot.vectors_revision += 1;
    bot.updated_at = Timestamp::now();
    bots::replace(txn, &bot)
}

pub(crate) fn get_many(
    txn: &ReadTransaction,
    bot_id: &str,
    chunk_ids: &[u64],
) -> Result<Vec<ChunkRecord>, Failure> {
    bots::get(txn, bot_id)?;
    let chunks = txn.records(CHUNKS)?;
    let found = chunk_ids.iter().map(|chunk_id| {
        chunks.get((bot_id, *chunk_id))?.ok_or_else(|| {
            Failure::Store(Error::ChunkNotFound {
                bot_id: bot_id.to_owned(),
                chunk_id: *chunk_id,
            })
        })
    });
    found.collect()
}

pub(crate) fn visit_vectors(
    txn: &ReadTransaction,
    bot_id: &str,
    visit: &mut dyn FnMut(u64, &[f32]),
) -> Result<u64, Failure> {
    let bot = bots::get(txn, bot_id)?;
    let vectors = txn.records(VECTORS)?;
    for entry in vectors.range(all_of(bot_id))? {
        let (key, Vector(vector)) = entry?;
        visit(key.value().1, &vector);
    }
    Ok(bot.vectors_revision)
}
