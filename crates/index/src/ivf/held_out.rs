//! The vectors that stand for queries: kept out of the training, because a centroid that a vector
//! helped to place lies nearer to it than to a query that nobody knew.

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::Result;
use crate::rows::Rows;

/// Vectors held out.
const QUERIES: usize = 300;
/// But no more than one in so many.
const SHARE: usize = 10;

/// Some living rows, ascending: the same for the same number of them.
pub(super) fn held_out(rows: &Rows) -> Result<Vec<u32>> {
    let mut alive = Vec::with_capacity(rows.alive());
    rows.for_each_alive(|row, _| alive.push(row))?;
    let wanted = QUERIES.min(alive.len().div_ceil(SHARE));
    let mut rng = StdRng::seed_from_u64(alive.len() as u64);
    let chosen = rand::seq::index::sample(&mut rng, alive.len(), wanted);
    let mut chosen: Vec<u32> = chosen.iter().map(|place| alive[place]).collect();
    chosen.sort_unstable();
    Ok(chosen)
}
