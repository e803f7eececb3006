//! The exact index: every query meets every vector.
//!
//! Nothing is trained and nothing is approximated, so there is nothing to tune and upserts and
//! removals cost what they touch. A scan is bound by the memory's bandwidth, which is enough for
//! collections of some hundred thousand vectors; beyond that an approximate index pays off.

mod rows;
mod scan;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use self::rows::Rows;
use self::scan::Scan;
use crate::file::{self, Contents};
use crate::normalise::normalise;
use crate::{Error, Hit, Metric, Result, VectorIndex, check};

/// Vectors in memory, compared one by one.
///
/// Scores are computed in 32-bit floats. An inner product or distance beyond their range is
/// scored with their greatest or least number. Under [`Metric::Cosine`] vectors are kept scaled
/// to length 1.
#[derive(Clone)]
pub struct FlatIndex {
    metric: Metric,
    rows: Rows,
}

impl FlatIndex {
    /// An empty index for vectors of `dimension` components.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedDimension`] if `dimension` is 0 or more than `u32::MAX`.
    pub fn new(dimension: usize, metric: Metric) -> Result<FlatIndex> {
        match u32::try_from(dimension) {
            Ok(1..) => Ok(FlatIndex {
                metric,
                rows: Rows::new(dimension),
            }),
            _ => Err(Error::UnsupportedDimension {
                received: dimension,
                maximum: u32::MAX,
            }),
        }
    }

    /// Reads the index that [`VectorIndex::save`] wrote to `path`, and the revision given there.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the operating system refuses; [`Error::NotAnIndex`],
    /// [`Error::FormatVersion`], [`Error::Truncated`], [`Error::TrailingBytes`] or
    /// [`Error::Damaged`] if the file is not whole or not ours; [`Error::Memory`] if it does not
    /// fit. Each byte of the file is checked, so an index that opens is the one that was saved.
    pub fn open(path: impl AsRef<Path>) -> Result<(FlatIndex, u64)> {
        let Contents {
            metric,
            dimension,
            revision,
            ids,
            vectors,
        } = file::open(path.as_ref())?;
        let count = ids.len();
        let rows = Rows::from_parts(dimension, ids.into_owned(), vectors.into_owned()).map_err(
            |source| Error::Memory {
                vectors: count,
                dimension,
                source,
            },
        )?;
        Ok((FlatIndex { metric, rows }, revision))
    }

    /// The queries as they are compared: checked, and of length 1 under cosine.
    fn prepared<'a>(&self, queries: &'a [f32]) -> Result<Cow<'a, [f32]>> {
        let dimension = self.rows.dimension();
        check::queries(self.metric, dimension, queries)?;
        let mut queries = Cow::Borrowed(queries);
        if self.metric == Metric::Cosine {
            queries
                .to_mut()
                .chunks_exact_mut(dimension)
                .for_each(normalise);
        }
        Ok(queries)
    }

    fn prepared_query<'a>(&self, query: &'a [f32]) -> Result<Cow<'a, [f32]>> {
        let (expected, received) = (self.rows.dimension(), query.len());
        match expected == received {
            true => self.prepared(query),
            false => Err(Error::Dimension { expected, received }),
        }
    }

    fn scan<'a>(&'a self, queries: &'a [f32], k: usize) -> Scan<'a> {
        Scan {
            metric: self.metric,
            rows: &self.rows,
            queries,
            k,
        }
    }
}

impl VectorIndex for FlatIndex {
    fn dimension(&self) -> usize {
        self.rows.dimension()
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn len(&self) -> usize {
        self.rows.ids().len()
    }

    fn upsert(&mut self, ids: &[u64], vectors: &[f32]) -> Result<()> {
        let dimension = self.rows.dimension();
        check::vectors(self.metric, dimension, ids, vectors)?;
        self.rows.reserve_for(ids).map_err(|source| Error::Memory {
            vectors: ids.len(),
            dimension,
            source,
        })?;
        for (&id, vector) in ids.iter().zip(vectors.chunks_exact(dimension)) {
            let stored = self.rows.put(id, vector);
            if self.metric == Metric::Cosine {
                normalise(stored);
            }
        }
        Ok(())
    }

    fn remove(&mut self, ids: &[u64]) -> usize {
        let removed = ids.iter().filter(|&&id| self.rows.remove(id)).count();
        self.rows.give_back();
        removed
    }

    fn search(&self, query: &[f32], k: usize) -> Result<Vec<Hit>> {
        let query = self.prepared_query(query)?;
        Ok(self.scan(&query, k).all().pop().unwrap_or_default())
    }

    fn search_filtered(
        &self,
        query: &[f32],
        k: usize,
        accept: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<Hit>> {
        let query = self.prepared_query(query)?;
        Ok(self
            .scan(&query, k)
            .accepted(accept)
            .pop()
            .unwrap_or_default())
    }

    fn search_batch(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Hit>>> {
        let (dimension, received) = (self.rows.dimension(), queries.len());
        if !received.is_multiple_of(dimension) {
            return Err(Error::PartialQuery {
                dimension,
                received,
            });
        }
        let queries = self.prepared(queries)?;
        Ok(self.scan(&queries, k).all())
    }

    /// The file is written beside `path` first, then checked and renamed; only its owner may read
    /// it. A link at `path` is replaced, not followed.
    fn save(&self, path: &Path, revision: u64) -> Result<()> {
        let contents = Contents {
            metric: self.metric,
            dimension: self.rows.dimension(),
            revision,
            ids: Cow::Borrowed(self.rows.ids()),
            vectors: Cow::Borrowed(self.rows.vectors()),
        };
        file::save(path, &contents)
    }
}

impl fmt::Debug for FlatIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlatIndex")
            .field("metric", &self.metric)
            .field("dimension", &self.rows.dimension())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
