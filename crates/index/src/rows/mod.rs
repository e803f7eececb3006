//! The rows of an index: ids and vectors, in chunks that snapshots share.
//!
//! A row has a number, its place in the order in which rows came. Rows are only ever appended, and
//! marked as dead; a snapshot that somebody is searching therefore stays what it was, and a writer
//! copies no more than the last chunk and the marks it sets. Compaction makes new chunks of the
//! rows that are alive, and gives them new numbers.

mod bitmap;
mod chunk;
mod values;

use std::sync::Arc;

pub(crate) use self::bitmap::{Bitmap, WORD};
pub(crate) use self::chunk::{CHUNK, Chunk};
pub(crate) use self::values::Values;
use crate::bytes::ByteCodes;
use crate::{Error, Memory, Metric, Result};

/// The most rows that an index can have, dead ones included: their numbers are 32 bits wide.
pub(crate) const MOST_ROWS: usize = u32::MAX as usize;

/// Vectors of one dimension, each with its id. A clone shares the chunks.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) metric: Metric,
    pub(crate) dimension: usize,
    /// Whether chunks have byte codes.
    coded: bool,
    chunks: Vec<Arc<Chunk>>,
    rows: usize,
    alive: usize,
}

impl Rows {
    pub(crate) fn new(metric: Metric, dimension: usize, coded: bool) -> Rows {
        Rows {
            metric,
            dimension,
            coded,
            chunks: Vec::new(),
            rows: 0,
            alive: 0,
        }
    }

    /// Rows numbered so far, dead ones included.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Rows that can be found.
    pub(crate) fn alive(&self) -> usize {
        self.alive
    }

    pub(crate) fn coded(&self) -> bool {
        self.coded
    }

    pub(crate) fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    pub(crate) fn id(&self, row: u32) -> Result<u64> {
        let (chunk, place) = self.place(row);
        Ok(chunk.ids.part(place..place + 1)?[0])
    }

    pub(crate) fn vector(&self, row: u32) -> Result<&[f32]> {
        let (chunk, place) = self.place(row);
        chunk
            .vectors
            .part(place * self.dimension..(place + 1) * self.dimension)
    }

    /// Asks for a vector to be brought into the caches.
    pub(crate) fn prefetch(&self, row: u32) {
        let (chunk, place) = self.place(row);
        chunk
            .vectors
            .prefetch(place * self.dimension..(place + 1) * self.dimension);
    }

    pub(crate) fn is_alive(&self, row: u32) -> bool {
        let (chunk, place) = self.place(row);
        chunk.is_alive(place)
    }

    fn place(&self, row: u32) -> (&Chunk, usize) {
        let row = row as usize;
        (&self.chunks[row / CHUNK], row % CHUNK)
    }

    /// The number and the id of each row that is alive, ascending by number.
    pub(crate) fn for_each_alive(&self, mut visit: impl FnMut(u32, u64)) -> Result<()> {
        for (index, chunk) in self.chunks.iter().enumerate() {
            for (place, &id) in chunk.ids()?.iter().enumerate() {
                if chunk.is_alive(place) {
                    visit((index * CHUNK + place) as u32, id);
                }
            }
        }
        Ok(())
    }

    /// Takes in a chunk as it stands, of [`CHUNK`] rows unless it is the last.
    pub(crate) fn push(
        &mut self,
        ids: Values<u64>,
        vectors: Values<f32>,
        rows: usize,
        codes: Option<ByteCodes>,
    ) {
        let mut chunk = Chunk::new(ids, vectors, rows);
        chunk.codes = codes;
        self.chunks.push(Arc::new(chunk));
        self.rows += rows;
        self.alive += rows;
    }

    /// Appends rows: fills the last chunk, then begins new ones.
    pub(crate) fn append(&mut self, ids: &[u64], vectors: &[f32]) -> Result<()> {
        if ids.len() > MOST_ROWS - self.rows {
            return Err(Error::Full {
                vectors: ids.len(),
                limit: MOST_ROWS,
            });
        }
        let (mut ids, mut vectors) = (ids, vectors);
        while !ids.is_empty() {
            let last = self.chunks.pop_if(|last| last.rows() < CHUNK);
            let last = last.unwrap_or_else(|| Arc::new(self.empty_chunk()));
            let count = (CHUNK - last.rows()).min(ids.len());
            let (new_ids, later_ids) = ids.split_at(count);
            let (new_vectors, later_vectors) = vectors.split_at(count * self.dimension);
            self.chunks
                .push(Arc::new(self.extend(&last, new_ids, new_vectors)?));
            (ids, vectors) = (later_ids, later_vectors);
            self.rows += count;
            self.alive += count;
        }
        Ok(())
    }

    fn empty_chunk(&self) -> Chunk {
        Chunk::new(Vec::new().into(), Vec::new().into(), 0)
    }

    fn extend(&self, chunk: &Chunk, ids: &[u64], vectors: &[f32]) -> Result<Chunk> {
        let mut chunk = chunk
            .extended(ids, vectors)?
            .map_err(|source| Error::Memory {
                vectors: ids.len(),
                dimension: self.dimension,
                source,
            })?;
        if self.coded {
            chunk.codes = Some(ByteCodes::encode(
                self.metric,
                self.dimension,
                chunk.vectors()?,
            )?);
        }
        Ok(chunk)
    }

    /// Marks a row that is alive as dead.
    pub(crate) fn kill(&mut self, row: u32) {
        let (chunk, place) = (row as usize / CHUNK, row as usize % CHUNK);
        Arc::make_mut(&mut self.chunks[chunk]).kill(place);
        self.alive -= 1;
    }

    /// The rows that are alive in chunks of their own, in the same order, so that the number of a
    /// row is now how many living rows come before it.
    pub(crate) fn compacted(&self) -> Result<Rows> {
        let mut compact = Rows::new(self.metric, self.dimension, self.coded);
        let (mut ids, mut vectors) = (Vec::new(), Vec::new());
        for chunk in &self.chunks {
            let rows = chunk.vectors()?.chunks_exact(self.dimension);
            for (place, (&id, vector)) in chunk.ids()?.iter().zip(rows).enumerate() {
                if chunk.is_alive(place) {
                    ids.push(id);
                    vectors.extend_from_slice(vector);
                }
            }
            if ids.len() >= CHUNK {
                compact.append(&ids, &vectors)?;
                ids.clear();
                vectors.clear();
            }
        }
        compact.append(&ids, &vectors)?;
        Ok(compact)
    }

    pub(crate) fn memory(&self) -> Memory {
        self.chunks.iter().map(|chunk| chunk.memory()).sum()
    }
}
