//! What every index can do: the seam between the facade and the kinds of index.
//!
//! It speaks of ids, vectors and scores only. Every score is greater for what is nearer, so that
//! callers need not know the metric to compare hits.

use std::path::Path;

use crate::Result;

/// How near two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Inner product; greater is nearer.
    InnerProduct,
    /// Inner product of the directions, in [-1, 1]; greater is nearer.
    Cosine,
    /// Squared Euclidean distance, scored as its negative so that greater is nearer.
    L2,
}

/// A vector found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The id it was stored under.
    pub id: u64,
    /// How near it is: greater is nearer, whatever the metric.
    pub score: f32,
}

/// Memory that an index takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// This process's own.
    pub owned: usize,
    /// Mapped from the index's file: it belongs to the system, which takes it back when it is short.
    pub mapped: usize,
}

impl std::ops::Add for Memory {
    type Output = Memory;

    fn add(self, other: Memory) -> Memory {
        Memory {
            owned: self.owned + other.owned,
            mapped: self.mapped + other.mapped,
        }
    }
}

impl std::iter::Sum for Memory {
    fn sum<I: Iterator<Item = Memory>>(parts: I) -> Memory {
        parts.fold(Memory::default(), |sum, part| sum + part)
    }
}

/// Vectors of one dimension under caller-given ids, for any number of threads at once.
///
/// A search sees the index as it was at one moment and never waits for a writer; writers take turns.
pub trait VectorIndex: Send + Sync {
    /// Components of a vector.
    fn dimension(&self) -> usize;
    /// How nearness is measured.
    fn metric(&self) -> Metric;
    /// Number of vectors.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Stores `vectors`, row after row, under `ids`; a vector already there under an id is
    /// replaced. Nothing is stored if one vector is refused.
    fn upsert(&self, ids: &[u64], vectors: &[f32]) -> Result<()>;
    /// Removes the vectors under these ids; returns how many were there.
    fn remove(&self, ids: &[u64]) -> Result<usize>;
    /// The `k` nearest vectors, nearest first (fewer if the index has fewer); of equally near ones
    /// the smaller id comes first.
    fn search(&self, query: &[f32], k: usize) -> Result<Vec<Hit>>;
    /// [`VectorIndex::search`] among the vectors whose ids `accept` takes: `k` of those, or all if
    /// they are fewer. `accept` is asked once for every id, on the calling thread.
    fn search_filtered(
        &self,
        query: &[f32],
        k: usize,
        accept: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<Hit>>;
    /// [`VectorIndex::search`] for several queries, row after row.
    fn search_batch(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Hit>>>;
    /// All vectors whose score is `least` or more, nearest first. Every vector is compared.
    fn search_range(&self, query: &[f32], least: f32) -> Result<Vec<Hit>>;
    /// Gives back what removed and replaced vectors still take. An index also does that by itself
    /// when they are a quarter of all.
    fn compact(&self) -> Result<()>;
    /// The memory that it takes now.
    fn memory(&self) -> Memory;
    /// Writes the index to `path`, replacing the file there in one step or not at all. `revision`
    /// is kept in the file and given back when it is opened, so that its owner can tell a stale one.
    fn save(&self, path: &Path, revision: u64) -> Result<()>;
}
