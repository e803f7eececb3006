//! The centroids: which list a vector belongs to, and which lists are nearest to a query.
//!
//! Centroids are compared in bytes. A vector that lies between two lists may so come to the farther
//! of them, which costs nothing: the tuner measures the recall with the lists as they are.

use longtrainer_kernels::{
    ByteQueries, ByteScan, RowIds, Shortlist, Team, nearest_bytes, squared_norm,
};

use crate::bytes::ByteCodes;
use crate::rows::Values;
use crate::tasks::map;
use crate::{Memory, Metric, Result};

/// Vectors that a thread assigns at once.
const BLOCK: usize = 256;

/// A list, and the score of a query with its middle: of the codes, so off by some thousandth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranked {
    pub(crate) list: u32,
    pub(crate) score: f32,
}

/// The centroids of an index.
#[derive(Debug, Clone)]
pub(crate) struct Coarse {
    metric: Metric,
    dimension: usize,
    /// Row after row; of length 1 but under L2.
    pub(crate) centroids: Values<f32>,
    /// How far along its centroid the middle of a list lies.
    pub(crate) lengths: Values<f32>,
    codes: ByteCodes,
    lists: usize,
}

impl Coarse {
    pub(crate) fn new(
        metric: Metric,
        dimension: usize,
        centroids: Values<f32>,
        lengths: Values<f32>,
    ) -> Result<Coarse> {
        Ok(Coarse {
            codes: ByteCodes::encode(metric, dimension, centroids.get()?)?,
            lists: lengths.get()?.len(),
            metric,
            dimension,
            centroids,
            lengths,
        })
    }

    pub(crate) fn lists(&self) -> usize {
        self.lists
    }

    /// The list of each vector.
    pub(crate) fn assign(&self, vectors: &[f32], team: &Team) -> Result<Vec<u32>> {
        let blocks: Vec<_> = vectors.chunks(BLOCK * self.dimension).collect();
        let assigned = map(team, blocks.len(), |block| {
            self.assign_coded(&ByteQueries::new(blocks[block], self.dimension)?)
        })?;
        Ok(assigned.concat())
    }

    /// The list of each vector, given in bytes.
    pub(crate) fn assign_coded(&self, vectors: &ByteQueries) -> Result<Vec<u32>> {
        let mut nearest = vec![(0, 0.0); vectors.len()];
        nearest_bytes(&self.scan(vectors)?, &mut nearest)?;
        // A vector that scores with no list, because its scores overflow, goes to the last one.
        let last = self.lists as u32 - 1;
        Ok(nearest
            .into_iter()
            .map(|(list, _)| list.min(last))
            .collect())
    }

    /// The lists nearest to each of a few queries, nearest first.
    pub(crate) fn rank(&self, queries: &[f32], probes: usize) -> Result<Vec<Vec<Ranked>>> {
        let squares: Vec<f32> = queries
            .chunks_exact(self.dimension)
            .map(squared_norm)
            .collect();
        let queries = ByteQueries::new(queries, self.dimension)?;
        let mut nearest: Vec<_> = (0..queries.len()).map(|_| Shortlist::new(probes)).collect();
        self.scan(&queries)?.run(&mut nearest)?;
        let lengths = self.lengths.get()?;
        let ranked = |(nearest, square): (&mut Shortlist, f32)| {
            let nearest = nearest.finish().iter().take(probes);
            let ranked = nearest.map(|candidate| Ranked {
                list: candidate.row,
                score: match self.metric {
                    Metric::L2 => candidate.upper - square,
                    _ => candidate.upper * lengths[candidate.row as usize],
                },
            });
            ranked.collect()
        };
        Ok(nearest.iter_mut().zip(squares).map(ranked).collect())
    }

    fn scan<'a>(&'a self, queries: &'a ByteQueries) -> Result<ByteScan<'a>> {
        let codes = self.codes.get()?;
        Ok(ByteScan {
            queries,
            range: 0..queries.len(),
            codes: codes.codes,
            count: self.lists,
            factors: codes.factors,
            offsets: codes.offsets,
            slacks: None,
            bases: &[],
            gain: if self.metric == Metric::L2 { 2.0 } else { 1.0 },
            slack: &[],
            rows: RowIds::First(0),
            accept: None,
        })
    }

    /// The middle of a list, from which its vectors are coded.
    pub(crate) fn centre(&self, list: u32) -> Result<Vec<f32>> {
        let length = self.lengths.get()?[list as usize];
        let start = list as usize * self.dimension;
        let centroid = self.centroids.part(start..start + self.dimension)?;
        Ok(centroid.iter().map(|x| x * length).collect())
    }

    pub(crate) fn memory(&self) -> Memory {
        self.centroids.memory() + self.lengths.memory() + self.codes.memory()
    }
}
