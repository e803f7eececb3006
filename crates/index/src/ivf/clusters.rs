//! The lists of an index, and how they come about: trained, filled, extended, renumbered.

use std::sync::Arc;

use longtrainer_kernels::Team;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::coarse::Coarse;
use super::codec::Codec;
use super::held_out::held_out;
use super::kmeans::{KMeans, SAMPLE_A_LIST};
use super::list::List;
use super::tuning::Tuning;
use crate::rows::{CHUNK, Rows};
use crate::tasks::map;
use crate::{Codes, Error, Memory, Result};

/// All random choices follow from this.
const SEED: u64 = 0x1d_e8_5a_7e;
/// Lists are trained again when there are so many times as many vectors, or as few, as then.
const GROWTH: usize = 2;
/// They are also trained again when vectors came that are this much farther from their lists'
/// middles (squared) than those of the training were...
const DRIFT: f64 = 1.25;
/// ...and are at least one in so many of those.
const DRIFTED: usize = 8;

/// Centroids and their lists. A clone shares the lists.
#[derive(Debug, Clone)]
pub(crate) struct Clusters {
    pub(crate) coarse: Arc<Coarse>,
    pub(crate) codec: Arc<Codec>,
    pub(crate) lists: Vec<Arc<List>>,
    pub(crate) tuning: Arc<Tuning>,
    pub(crate) history: History,
}

/// What was known when the lists were trained, and what came since.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct History {
    pub(crate) trained: usize,
    /// Mean squared distance of the trained vectors to their lists' middles.
    pub(crate) spread: f64,
    pub(crate) added: usize,
    /// Sum of the squared distances of the vectors that came since.
    pub(crate) added_spread: f64,
}

impl Clusters {
    /// Trains centroids on the living rows and puts each into its list; not yet tuned.
    pub(crate) fn train(rows: &Rows, lists: usize, codes: Codes, team: &Team) -> Result<Clusters> {
        if lists == 0 || lists > rows.alive() {
            let vectors = rows.alive();
            return Err(Error::TooFewVectors { vectors, lists });
        }
        let sample = sample(rows, lists, lists.saturating_mul(SAMPLE_A_LIST))?;
        let coarse = KMeans {
            metric: rows.metric,
            dimension: rows.dimension,
            vectors: &sample,
            lists,
            seed: SEED,
            team,
        }
        .run()?;
        drop(sample);
        let codec = Codec::new(rows.metric, rows.dimension, codes, SEED)?;
        let members = members(&coarse, rows, 0, team)?;
        Self::fill(Arc::new(coarse), Arc::new(codec), members, rows, team)
    }

    /// Codes the rows of each list.
    fn fill(
        coarse: Arc<Coarse>,
        codec: Arc<Codec>,
        members: Vec<Vec<u32>>,
        rows: &Rows,
        team: &Team,
    ) -> Result<Clusters> {
        let coded = map(team, members.len(), |list| {
            let centre = coarse.centre(list as u32)?;
            let spread = spread(rows, &members[list], &centre)?;
            let vectors = members[list].iter().map(|&row| rows.vector(row));
            Ok((codec.encode(&centre, vectors)?, spread))
        })?;
        let trained = members.iter().map(Vec::len).sum::<usize>();
        let spread = coded.iter().map(|(_, spread)| spread).sum::<f64>() / trained.max(1) as f64;
        let lists = List::side_by_side(members, coded.into_iter().map(|(coded, _)| coded));
        Ok(Clusters {
            coarse,
            codec,
            lists: lists.into_iter().map(Arc::new).collect(),
            tuning: Arc::default(),
            history: History {
                trained,
                spread,
                ..History::default()
            },
        })
    }

    /// These lists with the rows from `first` on.
    pub(crate) fn extended(&self, rows: &Rows, first: usize, team: &Team) -> Result<Clusters> {
        let members = members(&self.coarse, rows, first, team)?;
        let touched = members
            .into_iter()
            .enumerate()
            .filter(|(_, rows)| !rows.is_empty());
        let touched: Vec<_> = touched.collect();
        let extended = map(team, touched.len(), |index| {
            let (list, new) = &touched[index];
            let centre = self.coarse.centre(*list as u32)?;
            let spread = spread(rows, new, &centre)?;
            let longer = self.lists[*list].extended(&self.codec, &centre, new, rows)?;
            Ok((*list, Arc::new(longer), spread))
        })?;
        let mut clusters = self.clone();
        for (list, longer, spread) in extended {
            clusters.lists[list] = longer;
            clusters.history.added_spread += spread;
        }
        clusters.history.added += rows.len() - first;
        Ok(clusters)
    }

    /// The lists without dead rows, whose living ones are numbered anew as in `compact`.
    pub(crate) fn compacted(&self, rows: &Rows, compact: &Rows, team: &Team) -> Result<Clusters> {
        let numbers = new_numbers(rows);
        let members = map(team, self.lists.len(), |list| {
            let rows = self.lists[list].rows.get()?.iter();
            Ok(rows
                .filter_map(|&row| numbers[row as usize])
                .collect::<Vec<u32>>())
        })?;
        let filled = Self::fill(
            Arc::clone(&self.coarse),
            Arc::clone(&self.codec),
            members,
            compact,
            team,
        )?;
        Ok(Clusters {
            tuning: Arc::clone(&self.tuning),
            history: self.history,
            ..filled
        })
    }

    /// Whether the lists no longer fit what they hold.
    pub(crate) fn is_stale(&self, alive: usize) -> bool {
        let History {
            trained,
            spread,
            added,
            added_spread,
        } = self.history;
        let resized = alive >= trained * GROWTH || alive <= trained / GROWTH;
        let drifted =
            added * DRIFTED >= trained.max(1) && added_spread > added as f64 * spread * DRIFT;
        resized || drifted
    }

    pub(crate) fn memory(&self) -> Memory {
        self.coarse.memory() + self.lists.iter().map(|list| list.memory()).sum()
    }
}

/// Some of the living vectors, or all but those held out, in the order of their rows.
fn sample(rows: &Rows, least: usize, most: usize) -> Result<Vec<f32>> {
    let mut alive = Vec::with_capacity(rows.alive());
    let held_out = held_out(rows)?;
    rows.for_each_alive(|row, _| alive.push(row))?;
    if alive.len() - held_out.len() >= least {
        alive.retain(|row| held_out.binary_search(row).is_err());
    }
    if alive.len() > most {
        let mut rng = StdRng::seed_from_u64(SEED);
        let chosen = rand::seq::index::sample(&mut rng, alive.len(), most);
        let mut chosen: Vec<u32> = chosen.iter().map(|place| alive[place]).collect();
        chosen.sort_unstable();
        alive = chosen;
    }
    let mut vectors = Vec::new();
    let wanted = alive.len().saturating_mul(rows.dimension);
    vectors
        .try_reserve_exact(wanted)
        .map_err(|source| Error::Memory {
            vectors: alive.len(),
            dimension: rows.dimension,
            source,
        })?;
    for row in alive {
        vectors.extend_from_slice(rows.vector(row)?);
    }
    Ok(vectors)
}

/// The living rows from `first` on, list by list.
fn members(coarse: &Coarse, rows: &Rows, first: usize, team: &Team) -> Result<Vec<Vec<u32>>> {
    let mut members = vec![Vec::new(); coarse.lists()];
    for (index, chunk) in rows.chunks().iter().enumerate().skip(first / CHUNK) {
        let start = index * CHUNK;
        let from = first.max(start) - start;
        let assigned = coarse.assign(&chunk.vectors()?[from * rows.dimension..], team)?;
        for (place, list) in (from..).zip(assigned) {
            if chunk.is_alive(place) {
                members[list as usize].push((start + place) as u32);
            }
        }
    }
    Ok(members)
}

/// The sum of the squared distances of rows to the middle of their list.
fn spread(rows: &Rows, members: &[u32], centre: &[f32]) -> Result<f64> {
    let mut sum = 0.0;
    for &row in members {
        sum += f64::from(longtrainer_kernels::squared_l2(rows.vector(row)?, centre)?);
    }
    Ok(sum)
}

/// The number of each living row once the dead ones are gone.
fn new_numbers(rows: &Rows) -> Vec<Option<u32>> {
    let mut next = 0;
    (0..rows.len() as u32)
        .map(|row| {
            rows.is_alive(row).then(|| {
                next += 1;
                next - 1
            })
        })
        .collect()
}
