//! The index of lists.

use std::fmt;
use std::path::Path;

use super::{Kind, describe};
use crate::options::{IvfOptions, Search};
use crate::store::{Policy, Store};
use crate::{Hit, Metric, Result};

/// Vectors divided into lists, of which a search looks into the nearest: approximate, to a recall of
/// the caller's choice.
///
/// It is trained when the caller says so, on the vectors that are there ([`IvfIndex::train`]). After
/// that vectors come and go as they like; when they are twice as many or half as many as at the
/// training, or lie elsewhere, the write that finds that out trains the lists again, while searches
/// go on with the old ones.
///
/// A search ranks the lists, estimates the scores of the vectors in the nearest from their codes, and
/// compares the best exactly. How many of each is measured by the index itself, see
/// [`IvfIndex::tuning`]. Memory besides that of a [`FlatIndex`](crate::FlatIndex): a bit or a byte a
/// component (see [`Codes`](crate::Codes)) and 12 bytes a vector. Training takes ten rounds over at
/// most 128 vectors a list, with as many products each as there are lists.
pub struct IvfIndex(Store);

/// What an index measured about itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Lists.
    pub lists: usize,
    /// Lists that a search looks into.
    pub probes: usize,
    /// Vectors that it compares exactly, for up to 10 hits; for more hits as much deeper.
    pub rerank: usize,
    /// The share of the true nearest 10 that it finds so, over a sample of the index's own vectors,
    /// each left out of its own answer.
    pub recall: f32,
}

impl IvfIndex {
    /// An empty index for vectors of `dimension` components.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedDimension`](crate::Error::UnsupportedDimension) if `dimension` is 0 or
    /// more than 131,072; [`Error::Option`](crate::Error::Option) for an option out of range.
    pub fn new(dimension: usize, metric: Metric, options: IvfOptions) -> Result<IvfIndex> {
        options.check()?;
        Store::new(metric, dimension, false, Policy::Asked(options)).map(IvfIndex)
    }

    /// The same index with threads of its own; see [`FlatIndex::with_threads`](crate::FlatIndex::with_threads).
    ///
    /// # Errors
    ///
    /// [`Error::Threads`](crate::Error::Threads) if the system refuses to start them.
    pub fn with_threads(self, threads: usize) -> Result<IvfIndex> {
        self.0.with_threads(threads).map(IvfIndex)
    }

    /// Divides the vectors into lists, codes them and measures what a search needs.
    ///
    /// # Errors
    ///
    /// [`Error::TooFewVectors`](crate::Error::TooFewVectors) if there are fewer vectors than the
    /// lists asked for; [`Error::Memory`](crate::Error::Memory).
    pub fn train(&self) -> Result<()> {
        self.0.train()
    }

    /// Whether the vectors were divided into lists.
    pub fn is_trained(&self) -> bool {
        self.0.snapshot().clusters.is_some()
    }

    /// What a search looks at, and what it finds so; `None` before the training.
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
    /// As [`IvfIndex::search_with`].
    pub fn search_batch_with(
        &self,
        queries: &[f32],
        k: usize,
        search: Search,
    ) -> Result<Vec<Vec<Hit>>> {
        self.0.search_batch(queries, k, search)
    }

    /// Maps the index that was saved to `path`, with the recall of `options`; their lists and codes
    /// hold from the next training on. See [`FlatIndex::open`](crate::FlatIndex::open).
    ///
    /// # Errors
    ///
    /// As there, and [`Error::Option`](crate::Error::Option) for an option out of range.
    pub fn open(path: impl AsRef<Path>, options: IvfOptions) -> Result<(IvfIndex, u64)> {
        options.check()?;
        let (store, revision) = Store::open(path.as_ref(), Policy::Asked(options))?;
        Ok((IvfIndex(store), revision))
    }
}

impl Kind for IvfIndex {
    fn store(&self) -> &Store {
        &self.0
    }
}

impl fmt::Debug for IvfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe("IvfIndex", &self.0, f)
    }
}
