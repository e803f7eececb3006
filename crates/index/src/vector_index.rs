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

/// Vectors of one dimension under caller-given ids.
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
    fn upsert(&mut self, ids: &[u64], vectors: &[f32]) -> Result<()>;
    /// Removes the vectors under these ids; returns how many were there.
    fn remove(&mut self, ids: &[u64]) -> usize;
    /// The `k` nearest vectors, nearest first (fewer if the index has fewer); of equally near ones
    /// the smaller id comes first.
    fn search(&self, query: &[f32], k: usize) -> Result<Vec<Hit>>;
    /// [`VectorIndex::search`] among the vectors whose ids `accept` takes: the `k` nearest of those,
    /// however few they are. `accept` is asked on the calling thread, in any order of ids.
    fn search_filtered(
        &self,
        query: &[f32],
        k: usize,
        accept: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<Hit>>;
    /// [`VectorIndex::search`] for several queries, row after row.
    fn search_batch(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Hit>>>;
    /// Writes the index to `path`, replacing the file there in one step or not at all. `revision`
    /// is kept in the file and given back when it is opened, so that its owner can tell a stale one.
    fn save(&self, path: &Path, revision: u64) -> Result<()>;
}
