//! The index that chooses for itself.

use std::fmt;
use std::path::Path;

use super::{Kind, describe};
use crate::options::{IvfOptions, Search};
use crate::store::{Policy, Store};
use crate::{Hit, Metric, Result, Tuning};

/// Vectors from which on lists pay: with fewer, an exact search of 384 components takes about a
/// millisecond.
const LISTS_FROM: usize = 20_000;

/// Exact while that is quick, divided into lists when it no longer is: a
/// [`FlatIndex`](crate::FlatIndex) of fewer than 20,000 vectors, and an
/// [`IvfIndex`](crate::IvfIndex) of more, which trains itself.
pub struct AutoIndex(Store);

impl AutoIndex {
    /// An empty index for vectors of `dimension` components.
    ///
    /// # Errors
    ///
    /// As [`IvfIndex::new`](crate::IvfIndex::new).
    pub fn new(dimension: usize, metric: Metric, options: IvfOptions) -> Result<AutoIndex> {
        options.check()?;
        let policy = Policy::From(LISTS_FROM, options);
        Store::new(metric, dimension, false, policy).map(AutoIndex)
    }

    /// The same index with threads of its own; see [`FlatIndex::with_threads`](crate::FlatIndex::with_threads).
    ///
    /// # Errors
    ///
    /// [`Error::Threads`](crate::Error::Threads) if the system refuses to start them.
    pub fn with_threads(self, threads: usize) -> Result<AutoIndex> {
        self.0.with_threads(threads).map(AutoIndex)
    }

    /// What a search looks at, and what it finds so; `None` while it is exact.
    pub fn tuning(&self) -> Option<Tuning> {
        self.0.tuning()
    }

    /// [`VectorIndex::search`](crate::VectorIndex::search), as thorough as said here.
    ///
    /// # Errors
    ///
    /// Those of the search, and [`Error::Option`](crate::Error::Option) for a recall out of range.
    pub fn search_with(&self, query: &[f32], k: usize, search: Search) -> Result<Vec<Hit>> {
        self.0.search(query, k, search)
    }

    /// [`VectorIndex::search_batch`](crate::VectorIndex::search_batch), as thorough as said here.
    ///
    /// # Errors
    ///
    /// As [`AutoIndex::search_with`].
    pub fn search_batch_with(
        &self,
        queries: &[f32],
        k: usize,
        search: Search,
    ) -> Result<Vec<Vec<Hit>>> {
        self.0.search_batch(queries, k, search)
    }

    /// Maps the index that was saved to `path`, whether it was exact or had lists; see
    /// [`IvfIndex::open`](crate::IvfIndex::open).
    ///
    /// # Errors
    ///
    /// As there, and [`Error::Option`](crate::Error::Option) for an option out of range.
    pub fn open(path: impl AsRef<Path>, options: IvfOptions) -> Result<(AutoIndex, u64)> {
        options.check()?;
        let policy = Policy::From(LISTS_FROM, options);
        let (store, revision) = Store::open(path.as_ref(), policy)?;
        Ok((AutoIndex(store), revision))
    }
}

impl Kind for AutoIndex {
    fn store(&self) -> &Store {
        &self.0
    }
}

impl fmt::Debug for AutoIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("AutoIndex", &self.0, f)
    }
}
