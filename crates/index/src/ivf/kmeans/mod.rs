//! k-means: centroids such that vectors lie near the one of their list.
//!
//! Lloyd's iterations over a sample, seeded by k-means++ (Arthur and Vassilvitskii, SODA 2007) in
//! rounds of many seeds, as k-means|| does (Bahmani et al., VLDB 2012). A sample of
//! [`SAMPLE_A_LIST`] vectors a list is enough: more of them hardly move the centroids. For inner
//! products and cosines the centroids are directions (spherical k-means, Dhillon and Modha 2001).
//! Vectors are compared with centroids in bytes.

mod seed;
mod update;

use longtrainer_kernels::{ByteQueries, Team};
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::update::Sums;
use super::coarse::Coarse;
use crate::normalise::normalise;
use crate::tasks::map;
use crate::{Metric, Result};

/// Vectors of a list in the sample; a larger collection is sampled.
pub(crate) const SAMPLE_A_LIST: usize = 128;
/// Rounds of assigning and averaging, at most.
const ITERATIONS: usize = 10;
/// Fewer changes of list than one vector in so many end the iterations.
const SETTLED: usize = 200;
/// Vectors that a thread codes or assigns at once.
const BLOCK: usize = 512;

/// What is to be clustered.
pub(crate) struct KMeans<'a> {
    pub(crate) metric: Metric,
    pub(crate) dimension: usize,
    /// The sample, at least as many vectors as lists.
    pub(crate) vectors: &'a [f32],
    pub(crate) lists: usize,
    pub(crate) seed: u64,
    pub(crate) team: &'a Team,
}

impl KMeans<'_> {
    /// The centroids; the same for the same sample and seed, whatever the team.
    pub(crate) fn run(&self) -> Result<Coarse> {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let coded = self.coded()?;
        let mut coarse = self.coarse(seed::choose(self, &mut rng)?, vec![1.0; self.lists])?;
        let mut assigned = vec![u32::MAX; self.vectors.len() / self.dimension];
        for _ in 0..ITERATIONS {
            let changes = self.assign(&coarse, &coded, &mut assigned)?;
            let mut sums = Sums::of(self, &assigned)?;
            sums.repair_empty(&mut rng);
            coarse = self.coarse_of_means(&sums)?;
            if changes * SETTLED < assigned.len() {
                break;
            }
        }
        Ok(coarse)
    }

    fn blocks(&self) -> Vec<&[f32]> {
        self.vectors.chunks(BLOCK * self.dimension).collect()
    }

    fn coded(&self) -> Result<Vec<ByteQueries>> {
        let blocks = self.blocks();
        map(self.team, blocks.len(), |block| {
            Ok(ByteQueries::new(blocks[block], self.dimension)?)
        })
    }

    /// Assigns every vector; returns how many changed their list.
    fn assign(
        &self,
        coarse: &Coarse,
        coded: &[ByteQueries],
        assigned: &mut Vec<u32>,
    ) -> Result<usize> {
        let lists = map(self.team, coded.len(), |block| {
            coarse.assign_coded(&coded[block])
        })?
        .concat();
        let changes = lists
            .iter()
            .zip(&*assigned)
            .filter(|(new, old)| new != old)
            .count();
        *assigned = lists;
        Ok(changes)
    }

    /// Centroids from means: themselves under L2, else their directions and lengths.
    fn coarse_of_means(&self, sums: &Sums) -> Result<Coarse> {
        let mut means = sums.means();
        let mut lengths = vec![1.0; self.lists];
        if self.metric != Metric::L2 {
            for (mean, length) in means.chunks_exact_mut(self.dimension).zip(&mut lengths) {
                *length = normalise(mean);
            }
        }
        self.coarse(means, lengths)
    }

    fn coarse(&self, centroids: Vec<f32>, lengths: Vec<f32>) -> Result<Coarse> {
        Coarse::new(
            self.metric,
            self.dimension,
            centroids.into(),
            lengths.into(),
        )
    }
}
