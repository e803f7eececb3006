//! The exact index.

use std::fmt;
use std::path::Path;

use super::{Kind, describe};
use crate::store::{Policy, Store};
use crate::{Metric, Result};

/// How an exact index reads its vectors for a single query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scan {
    /// As they are: no memory but theirs.
    #[default]
    Vectors,
    /// First in a byte a component, which with proven bounds rules out nearly all of them; the
    /// answers are the same. A quarter of the time, and a quarter more memory.
    Bytes,
}

/// Every query meets every vector: nothing is trained, nothing approximated, nothing to tune.
///
/// Scores are computed in 32-bit floats. An inner product or distance beyond their range is scored
/// with their greatest or least number. Under [`Metric::Cosine`] vectors are kept scaled to length 1.
///
/// A search reads all vectors (or their codes, see [`Scan`]), so its time is their size over the
/// memory's bandwidth; in a batch they are read once for all queries. An upsert or a removal costs
/// what it touches and a copy of at most 1024 vectors. Memory: the vectors, 8 bytes an id, and after
/// the first write some 20 bytes a vector for finding ids.
pub struct FlatIndex(Store);

impl FlatIndex {
    /// An empty index for vectors of `dimension` components.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedDimension`](crate::Error::UnsupportedDimension) if `dimension` is 0 or
    /// more than `u32::MAX`.
    pub fn new(dimension: usize, metric: Metric) -> Result<FlatIndex> {
        Self::with_scan(dimension, metric, Scan::Vectors)
    }

    /// An empty index that reads its vectors as `scan` says.
    ///
    /// # Errors
    ///
    /// As [`FlatIndex::new`]; with [`Scan::Bytes`] vectors have at most 131,072 components.
    pub fn with_scan(dimension: usize, metric: Metric, scan: Scan) -> Result<FlatIndex> {
        let coded = scan == Scan::Bytes;
        Store::new(metric, dimension, coded, Policy::Never).map(FlatIndex)
    }

    /// The same index with `threads` threads of its own, the caller's counted, instead of those that
    /// all indexes and models of the process share.
    ///
    /// # Errors
    ///
    /// [`Error::Threads`](crate::Error::Threads) if the system refuses to start them.
    pub fn with_threads(self, threads: usize) -> Result<FlatIndex> {
        self.0.with_threads(threads).map(FlatIndex)
    }

    /// Maps the index that [`VectorIndex::save`](crate::VectorIndex::save) wrote to `path`; returns
    /// the revision given there, too.
    ///
    /// # Errors
    ///
    /// [`Error::Read`](crate::Error::Read) if the operating system refuses; another variant that
    /// names the path if the file is not whole, not ours or of another kind. Vectors are compared
    /// with their checksums when they are first read, so damage to them is an error of the search
    /// that meets it.
    pub fn open(path: impl AsRef<Path>) -> Result<(FlatIndex, u64)> {
        let (store, revision) = Store::open(path.as_ref(), Policy::Never)?;
        Ok((FlatIndex(store), revision))
    }
}

impl Kind for FlatIndex {
    fn store(&self) -> &Store {
        &self.0
    }
}

impl fmt::Debug for FlatIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("FlatIndex", &self.0, f)
    }
}
