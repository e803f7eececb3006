//! The middles of lists.

use rand::Rng;
use rand::rngs::StdRng;

use super::KMeans;
use crate::Result;
use crate::tasks::map;

/// How far apart the two halves of a divided list are set, in parts of each component.
const NUDGE: f32 = 1.0 / 1024.0;

/// Sums and numbers of the vectors in each list.
pub(super) struct Sums {
    dimension: usize,
    sums: Vec<f32>,
    counts: Vec<usize>,
}

impl Sums {
    /// Adds up the lists, each in the order of the sample.
    pub(super) fn of(kmeans: &KMeans<'_>, assigned: &[u32]) -> Result<Sums> {
        let (dimension, lists) = (kmeans.dimension, kmeans.lists);
        let members = members(assigned, lists);
        // One run of lists a task: each list is added up by one thread, so the sums do not depend
        // on the number of threads.
        let run = lists.div_ceil(8 * kmeans.team.threads());
        let sums = map(kmeans.team, lists.div_ceil(run), |task| {
            let lists = task * run..lists.min((task + 1) * run);
            let mut sums = vec![0.0; lists.len() * dimension];
            for (sum, list) in sums.chunks_exact_mut(dimension).zip(lists) {
                for &row in &members[list] {
                    let vector = &kmeans.vectors[row as usize * dimension..][..dimension];
                    sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
                }
            }
            Ok(sums)
        })?;
        Ok(Sums {
            dimension,
            sums: sums.concat(),
            counts: members.iter().map(Vec::len).collect(),
        })
    }

    /// Gives each empty list half of a large one: the same middle, moved a little, and the large
    /// one's moved the other way. Larger lists are divided more often.
    pub(super) fn repair_empty(&mut self, rng: &mut StdRng) {
        let empty: Vec<_> = (0..self.counts.len())
            .filter(|&list| self.counts[list] == 0)
            .collect();
        for list in empty {
            let Some(large) = self.divisible(rng) else {
                return;
            };
            let (kept, moved) = (self.counts[large].div_ceil(2), self.counts[large] / 2);
            let share = moved as f32 / self.counts[large] as f32;
            for component in 0..self.dimension {
                let sum = self.sums[large * self.dimension + component];
                let nudge = if component % 2 == 0 { NUDGE } else { -NUDGE };
                self.sums[list * self.dimension + component] = sum * share * (1.0 + nudge);
                self.sums[large * self.dimension + component] = sum * (1.0 - share) * (1.0 - nudge);
            }
            (self.counts[large], self.counts[list]) = (kept, moved);
        }
    }

    /// A list of two or more vectors, with a probability in proportion to its size.
    fn divisible(&self, rng: &mut StdRng) -> Option<usize> {
        let total: usize = self.counts.iter().filter(|&&count| count > 1).sum();
        if total == 0 {
            return None;
        }
        let mut at = rng.random_range(0..total);
        self.counts.iter().position(|&count| match count {
            0 | 1 => false,
            count if at < count => true,
            count => {
                at -= count;
                false
            }
        })
    }

    /// The mean of each list; zeros where there is nothing.
    pub(super) fn means(&self) -> Vec<f32> {
        let mut means = self.sums.clone();
        for (mean, &count) in means.chunks_exact_mut(self.dimension).zip(&self.counts) {
            let scale = 1.0 / count.max(1) as f32;
            mean.iter_mut().for_each(|x| *x *= scale);
        }
        means
    }
}

fn members(assigned: &[u32], lists: usize) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); lists];
    for (row, &list) in assigned.iter().enumerate() {
        members[list as usize].push(row as u32);
    }
    members
}
