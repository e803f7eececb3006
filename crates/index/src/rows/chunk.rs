//! A run of rows: ids and vectors, never changed once a snapshot holds them.

use std::collections::TryReserveError;
use std::sync::Arc;

use super::{Bitmap, Values};
use crate::bytes::ByteCodes;
use crate::{Memory, Result};

/// Rows of a chunk; only the last chunk of an index has fewer. A whole number of words of a bitmap
/// and of tiles of codes.
pub(crate) const CHUNK: usize = 1024;

/// Up to [`CHUNK`] rows. A row that was removed or replaced stays, marked as dead, until the index
/// is compacted.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(super) ids: Values<u64>,
    /// Row after row.
    pub(super) vectors: Values<f32>,
    pub(super) rows: usize,
    /// The rows that were not removed; `None` if that is all of them.
    alive: Option<Arc<Bitmap>>,
    /// The same vectors in a byte a component, if the index scans those first.
    pub(super) codes: Option<ByteCodes>,
}

impl Chunk {
    pub(super) fn new(ids: Values<u64>, vectors: Values<f32>, rows: usize) -> Chunk {
        Chunk {
            ids,
            vectors,
            rows,
            alive: None,
            codes: None,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn ids(&self) -> Result<&[u64]> {
        self.ids.get()
    }

    pub(crate) fn vectors(&self) -> Result<&[f32]> {
        self.vectors.get()
    }

    pub(crate) fn codes(&self) -> Option<&ByteCodes> {
        self.codes.as_ref()
    }

    /// The rows that may be found, a bit a row; `None` if all may.
    pub(crate) fn alive(&self) -> Option<&[u64]> {
        self.alive.as_deref().map(Bitmap::words)
    }

    pub(crate) fn is_alive(&self, row: usize) -> bool {
        self.alive.as_ref().is_none_or(|alive| alive.contains(row))
    }

    pub(super) fn kill(&mut self, row: usize) {
        let rows = self.rows;
        let alive = self
            .alive
            .get_or_insert_with(|| Arc::new(Bitmap::all(rows)));
        Arc::make_mut(alive).remove(row);
    }

    /// A chunk with these rows after its own. What a snapshot may be reading is copied, not moved.
    pub(super) fn extended(
        &self,
        ids: &[u64],
        vectors: &[f32],
    ) -> Result<Result<Chunk, TryReserveError>> {
        let (old_ids, old_vectors) = (self.ids.get()?, self.vectors.get()?);
        let joined = joined(old_ids, ids).and_then(|ids| Ok((ids, joined(old_vectors, vectors)?)));
        Ok(joined.map(|(ids, vectors)| {
            let rows = ids.len();
            let alive = self.alive.as_ref().map(|alive| {
                let mut alive = Bitmap::clone(alive);
                alive.grow(rows);
                Arc::new(alive)
            });
            Chunk {
                alive,
                ..Chunk::new(ids.into(), vectors.into(), rows)
            }
        }))
    }

    pub(super) fn memory(&self) -> Memory {
        let alive = self
            .alive
            .as_ref()
            .map_or(0, |alive| size_of_val(alive.words()));
        let own = Memory {
            owned: size_of::<Chunk>() + alive,
            mapped: 0,
        };
        let codes = self
            .codes
            .as_ref()
            .map_or(Memory::default(), ByteCodes::memory);
        self.ids.memory() + self.vectors.memory() + own + codes
    }
}

fn joined<T: Copy>(left: &[T], right: &[T]) -> Result<Vec<T>, TryReserveError> {
    let mut joined = Vec::new();
    joined.try_reserve_exact(left.len() + right.len())?;
    joined.extend_from_slice(left);
    joined.extend_from_slice(right);
    Ok(joined)
}
