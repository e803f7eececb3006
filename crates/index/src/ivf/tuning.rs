//! What a search has to look at to find enough: measured on the index's own vectors.
//!
//! Some vectors, held out of the training, are taken as queries and left out of their own answers. Their true neighbours are
//! found exactly; for each of some numbers of probes it is seen where they come among the estimates.
//! That gives the recall of every number of probes with every depth of exact comparison, of which
//! those are kept that no other beats in both recall and cost.

use longtrainer_kernels::Team;

use super::clusters::Clusters;
use super::held_out::held_out;
use super::search::{Effort, Search};
use crate::flat::Scan;
use crate::rows::Rows;
use crate::tasks::map;
use crate::{Hit, Result};

/// Neighbours that recall is measured over.
pub(crate) const NEIGHBOURS: usize = 10;
/// A recall beyond which no more probes are weighed up.
const ENOUGH: f32 = 0.999;
/// Depths of exact comparison that are weighed up.
const DEPTHS: [usize; 15] = [
    10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896, 1280,
];
/// Costs, in nanoseconds, of an estimate and of a list that is looked into, and for each 64 components
/// of ranking a list and of an exact comparison. Only their proportions matter; they were measured
/// with 384 components.
const ESTIMATE: f64 = 1.0;
const LIST: f64 = 90.0;
const RANKING: f64 = 0.5;
const COMPARISON: f64 = 20.0;

/// A number of probes and a depth that pay, and what they give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) effort: Effort,
    pub(crate) recall: f32,
    /// How sure that is: the standard error over the queries.
    pub(crate) error: f32,
    /// What a search costs, in nanoseconds of the machine that the constants here were measured on.
    pub(crate) cost: f64,
}

/// What was measured: steps of rising recall and cost. Empty if nothing was measured yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tuning {
    pub(crate) steps: Vec<Step>,
}

impl Tuning {
    /// What a search for a recall costs; infinitely much if it is not reached.
    pub(crate) fn cost_of(&self, recall: f32) -> f64 {
        match self.step_for(recall) {
            Some(step) if step.recall - step.error >= recall => step.cost,
            _ => f64::INFINITY,
        }
    }

    /// The cheapest step that reaches a recall, one standard error to the safe side; the last if
    /// none does.
    pub(crate) fn step_for(&self, recall: f32) -> Option<Step> {
        let reaches = |step: &&Step| step.recall - step.error >= recall;
        self.steps
            .iter()
            .find(reaches)
            .or(self.steps.last())
            .copied()
    }
}

/// Measures an index.
pub(crate) fn tune(rows: &Rows, clusters: &Clusters, team: &Team) -> Result<Tuning> {
    let queries = queries(rows)?;
    if queries.is_empty() {
        return Ok(Tuning::default());
    }
    let truths = truths(rows, &queries, team)?;
    let mut measured: Vec<Step> = Vec::new();
    for probes in numbers_of_probes(clusters.lists.len()) {
        let outcomes = map(team, queries.len(), |query| {
            outcome(rows, clusters, probes, &queries[query], &truths[query])
        })?;
        let at = |&depth| {
            measure(
                clusters,
                Effort {
                    probes,
                    rerank: depth,
                },
                &outcomes,
            )
        };
        measured.extend(DEPTHS.iter().map(at));
        // More probes find nearly nothing more.
        if measured.last().is_some_and(|last| last.recall >= ENOUGH) {
            break;
        }
    }
    Ok(Tuning {
        steps: frontier(measured),
    })
}

/// A vector that is taken as a query.
struct Query {
    row: u32,
    id: u64,
    vector: Vec<f32>,
}

fn queries(rows: &Rows) -> Result<Vec<Query>> {
    let query = |row| {
        Ok(Query {
            row,
            id: rows.id(row)?,
            vector: rows.vector(row)?.to_vec(),
        })
    };
    held_out(rows)?.into_iter().map(query).collect()
}

/// The scores of each query's true neighbours, the query itself left out.
fn truths(rows: &Rows, queries: &[Query], team: &Team) -> Result<Vec<Vec<Hit>>> {
    let vectors: Vec<f32> = queries
        .iter()
        .flat_map(|query| &query.vector)
        .copied()
        .collect();
    let found = Scan {
        rows,
        queries: &vectors,
        k: NEIGHBOURS + 1,
        accepted: None,
    }
    .run(team)?;
    let others = found.into_iter().zip(queries).map(|(mut hits, query)| {
        hits.retain(|hit| hit.id != query.id);
        hits.truncate(NEIGHBOURS);
        hits
    });
    Ok(others.collect())
}

/// Where the true neighbours of a query came, and how many vectors were estimated for that.
struct Outcome {
    /// Places among the estimates, from 0; `usize::MAX` for a neighbour that is not among them.
    ranks: Vec<usize>,
    estimates: usize,
}

fn outcome(
    rows: &Rows,
    clusters: &Clusters,
    probes: usize,
    query: &Query,
    truth: &[Hit],
) -> Result<Outcome> {
    let effort = Effort {
        probes,
        rerank: DEPTHS[DEPTHS.len() - 1] + 1,
    };
    let search = Search {
        rows,
        clusters,
        k: NEIGHBOURS,
        effort,
        accepted: None,
    };
    let lists = clusters.coarse.rank(&query.vector, probes)?.concat();
    let mut shortlist = search.shortlist(&query.vector, &lists)?;
    let mut ranks = vec![usize::MAX; truth.len()];
    let others = shortlist
        .finish()
        .iter()
        .filter(|candidate| candidate.row != query.row && rows.is_alive(candidate.row));
    for (rank, candidate) in others.enumerate() {
        let id = rows.id(candidate.row)?;
        if let Some(place) = truth.iter().position(|hit| hit.id == id) {
            ranks[place] = rank;
        }
    }
    let estimates = lists
        .iter()
        .map(|ranked| clusters.lists[ranked.list as usize].count)
        .sum();
    Ok(Outcome { ranks, estimates })
}

fn measure(clusters: &Clusters, effort: Effort, outcomes: &[Outcome]) -> Step {
    let count = outcomes.len() as f64;
    let recalls = outcomes.iter().map(|outcome| {
        let found = outcome
            .ranks
            .iter()
            .filter(|&&rank| rank < effort.rerank)
            .count();
        found as f64 / outcome.ranks.len().max(1) as f64
    });
    let recalls: Vec<f64> = recalls.collect();
    let recall = recalls.iter().sum::<f64>() / count;
    let variance = recalls
        .iter()
        .map(|one| (one - recall).powi(2))
        .sum::<f64>()
        / count;
    let estimates = outcomes
        .iter()
        .map(|outcome| outcome.estimates as f64)
        .sum::<f64>()
        / count;
    let components = clusters.codec.dimension as f64 / 64.0;
    let ranking = clusters.lists.len() as f64 * RANKING * components;
    let scanning = estimates * ESTIMATE + effort.probes as f64 * LIST;
    let comparing = effort.rerank as f64 * COMPARISON * components;
    Step {
        effort,
        recall: recall as f32,
        error: (variance / count).sqrt() as f32,
        cost: ranking + scanning + comparing,
    }
}

/// Those that no other beats, by rising cost.
fn frontier(mut measured: Vec<Step>) -> Vec<Step> {
    measured.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let mut best = f32::NEG_INFINITY;
    measured.retain(|step| {
        let better = step.recall > best;
        best = best.max(step.recall);
        better
    });
    measured
}

/// Numbers of probes to weigh up, each some two fifths more than the one before, up to all lists.
fn numbers_of_probes(lists: usize) -> Vec<usize> {
    let mut numbers = vec![1];
    let mut last = 1;
    while last < lists {
        last = (last + (last * 2).div_ceil(5)).min(lists);
        numbers.push(last);
    }
    numbers
}
