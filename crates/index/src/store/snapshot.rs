//! The state of an index at one moment, and what can be asked of it without any lists.

use std::borrow::Cow;

use longtrainer_kernels::Team;

use crate::flat::Scan;
use crate::ivf::{Clusters, Effort, Search};
use crate::normalise::normalise;
use crate::rows::{Bitmap, Rows};
use crate::{Error, Hit, Memory, Metric, Result, check};

/// What a search reads.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) rows: Rows,
    pub(crate) clusters: Option<Clusters>,
}

impl Snapshot {
    pub(super) fn by<'a>(&'a self, clusters: &'a Clusters, k: usize, effort: Effort) -> Search<'a> {
        Search {
            rows: &self.rows,
            clusters,
            k: k.min(self.rows.alive()),
            effort,
            accepted: None,
        }
    }

    pub(super) fn exactly(
        &self,
        query: &[f32],
        k: usize,
        accepted: Option<&Bitmap>,
        team: &Team,
    ) -> Result<Vec<Hit>> {
        Ok(self
            .all_exactly(query, k, accepted, team)?
            .pop()
            .unwrap_or_default())
    }

    pub(super) fn all_exactly(
        &self,
        queries: &[f32],
        k: usize,
        accepted: Option<&Bitmap>,
        team: &Team,
    ) -> Result<Vec<Vec<Hit>>> {
        let rows = &self.rows;
        Scan {
            rows,
            queries,
            k,
            accepted,
        }
        .run(team)
    }

    /// The living rows whose ids a filter takes.
    pub(super) fn accepted(&self, accept: &dyn Fn(u64) -> bool) -> Result<Bitmap> {
        let mut accepted = Bitmap::none(self.rows.len());
        self.rows.for_each_alive(|row, id| {
            if accept(id) {
                accepted.insert(row as usize);
            }
        })?;
        Ok(accepted)
    }

    /// Without dead rows.
    pub(crate) fn compacted(&self, team: &Team) -> Result<Snapshot> {
        let rows = self.rows.compacted()?;
        let clusters = self.clusters.as_ref();
        let clusters = clusters
            .map(|clusters| clusters.compacted(&self.rows, &rows, team))
            .transpose()?;
        Ok(Snapshot { rows, clusters })
    }

    /// The query as it is compared: checked, and of length 1 under cosine.
    pub(crate) fn query<'a>(&self, query: &'a [f32]) -> Result<Cow<'a, [f32]>> {
        let (expected, received) = (self.rows.dimension, query.len());
        match expected == received {
            true => self.queries(query),
            false => Err(Error::Dimension { expected, received }),
        }
    }

    /// The queries as they are compared.
    pub(crate) fn queries<'a>(&self, queries: &'a [f32]) -> Result<Cow<'a, [f32]>> {
        let (metric, dimension, received) = (self.rows.metric, self.rows.dimension, queries.len());
        if !received.is_multiple_of(dimension) {
            return Err(Error::PartialQuery {
                dimension,
                received,
            });
        }
        check::queries(metric, dimension, queries)?;
        Ok(as_compared(metric, dimension, queries))
    }

    pub(super) fn memory(&self) -> Memory {
        let clusters = self
            .clusters
            .as_ref()
            .map_or(Memory::default(), Clusters::memory);
        self.rows.memory() + clusters
    }
}

/// Vectors as they are compared: under cosine by their direction.
pub(super) fn as_compared(metric: Metric, dimension: usize, vectors: &[f32]) -> Cow<'_, [f32]> {
    let mut vectors = Cow::Borrowed(vectors);
    if metric == Metric::Cosine {
        vectors
            .to_mut()
            .chunks_exact_mut(dimension)
            .for_each(|vector| {
                normalise(vector);
            });
    }
    vectors
}
