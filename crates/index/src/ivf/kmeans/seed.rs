//! The first centroids: vectors drawn far from each other.

use rand::Rng;
use rand::rngs::StdRng;

use super::KMeans;
use crate::normalise::normalise;
use crate::tasks::map;
use crate::{Metric, Result, score};

/// Vectors a list that seeds are drawn from.
const POOL_A_LIST: usize = 16;
/// Rounds of drawing; the distances of a round's draws do not know of each other.
const ROUNDS: usize = 16;
/// Vectors that a thread compares with new seeds at once.
const BLOCK: usize = 128;

/// `lists` vectors of the sample, drawn with probabilities in proportion to their squared distance
/// to the seeds of earlier rounds. Where all vectors are seeds already, some come twice.
pub(super) fn choose(kmeans: &KMeans<'_>, rng: &mut StdRng) -> Result<Vec<f32>> {
    let pool = pool(kmeans, rng);
    let count = pool.len() / kmeans.dimension;
    let mut distances = vec![f32::INFINITY; count];
    let mut seeds: Vec<f32> = Vec::with_capacity(kmeans.lists * kmeans.dimension);
    let mut chosen = 0;
    while chosen < kmeans.lists {
        let wanted = match chosen {
            0 => 1,
            _ => kmeans.lists.div_ceil(ROUNDS).min(kmeans.lists - chosen),
        };
        let first = seeds.len();
        for row in draw(&distances, wanted, rng) {
            seeds.extend_from_slice(&pool[row * kmeans.dimension..(row + 1) * kmeans.dimension]);
            chosen += 1;
        }
        approach(kmeans, &pool, &seeds[first..], &mut distances)?;
    }
    if kmeans.metric != Metric::L2 {
        seeds.chunks_exact_mut(kmeans.dimension).for_each(|seed| {
            normalise(seed);
        });
    }
    Ok(seeds)
}

/// Some of the sample.
fn pool(kmeans: &KMeans<'_>, rng: &mut StdRng) -> Vec<f32> {
    let dimension = kmeans.dimension;
    let count = kmeans.vectors.len() / dimension;
    let wanted = kmeans.lists.saturating_mul(POOL_A_LIST).min(count);
    let rows = rand::seq::index::sample(rng, count, wanted);
    rows.iter()
        .flat_map(|row| &kmeans.vectors[row * dimension..(row + 1) * dimension])
        .copied()
        .collect()
}

/// `wanted` rows, with probabilities in proportion to the distances, each at most once while there
/// are others; uniformly if no row has a distance that is finite and not 0.
fn draw(distances: &[f32], wanted: usize, rng: &mut StdRng) -> Vec<usize> {
    let weight = |row: usize| match distances[row] {
        distance if distance.is_finite() => f64::from(distance.max(0.0)),
        _ => 0.0,
    };
    let sums: Vec<f64> = (0..distances.len())
        .scan(0.0, |sum, row| {
            *sum += weight(row);
            Some(*sum)
        })
        .collect();
    let total = sums.last().copied().unwrap_or(0.0);
    let mut taken = std::collections::HashSet::new();
    let mut drawn = Vec::with_capacity(wanted);
    for _ in 0..wanted {
        let mut row = rng.random_range(0..distances.len());
        // A few more draws for a row that is taken; then it comes twice, and its list is repaired.
        for _ in 0..8 {
            if total > 0.0 {
                let at = rng.random_range(0.0..total);
                row = sums
                    .partition_point(|&sum| sum <= at)
                    .min(distances.len() - 1);
            }
            if taken.insert(row) {
                break;
            }
        }
        drawn.push(row);
    }
    drawn
}

/// Lowers the squared distances to what they are to the nearest of the new seeds, too.
fn approach(kmeans: &KMeans<'_>, pool: &[f32], seeds: &[f32], distances: &mut [f32]) -> Result<()> {
    let blocks: Vec<_> = pool.chunks(BLOCK * kmeans.dimension).collect();
    let nearest = map(kmeans.team, blocks.len(), |block| {
        let rows = blocks[block].len() / kmeans.dimension;
        let mut values = vec![0.0; seeds.len() / kmeans.dimension * rows];
        score::table(
            Metric::L2,
            seeds,
            blocks[block],
            kmeans.dimension,
            &mut values,
        )?;
        let mut nearest = vec![f32::INFINITY; rows];
        for line in values.chunks_exact(rows) {
            nearest
                .iter_mut()
                .zip(line)
                .for_each(|(near, &value)| *near = near.min(value));
        }
        Ok(nearest)
    })?;
    let nearest = nearest.into_iter().flatten();
    distances
        .iter_mut()
        .zip(nearest)
        .for_each(|(distance, near)| *distance = distance.min(near));
    Ok(())
}
