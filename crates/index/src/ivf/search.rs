//! A search through the lists nearest to a query: estimates for all their vectors, exact scores for
//! the best of these.

use longtrainer_kernels::{BitQuery, ByteQueries, Shortlist, Team};

use super::clusters::Clusters;
use super::coarse::Ranked;
use super::codec::rotated;
use super::list::{CodedQuery, List};
use crate::rows::{Bitmap, Rows};
use crate::tasks::{gather, map};
use crate::top_k::TopK;
use crate::{Codes, Hit, Result, score};

/// Vectors to be looked at from which on one query is worth more than one thread.
const PARALLEL_VECTORS: usize = 8192;
/// Lists that a thread takes at once.
const LISTS_A_TASK: usize = 8;
/// Vectors that are asked for before they are compared.
const ROWS_AHEAD: usize = 3;
/// Groups of queries of a batch for each thread, so that a late one does not hold up the others.
const GROUPS_A_THREAD: usize = 2;
/// Queries of a group at most: their tables stay in a core's own cache.
const MOST_IN_GROUP: usize = 256;
/// Lists of a query that are scanned before those that it shares with others.
const FIRST_LISTS: usize = 4;

/// How much of the index a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Lists whose vectors are estimated.
    pub(crate) probes: usize,
    /// Vectors that are compared exactly.
    pub(crate) rerank: usize,
}

/// A search in one snapshot.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) clusters: &'a Clusters,
    pub(crate) k: usize,
    pub(crate) effort: Effort,
    /// The living rows that may be found; `None` if all of them.
    pub(crate) accepted: Option<&'a Bitmap>,
}

impl Search<'_> {
    /// The nearest to one query, by all threads if that pays.
    pub(crate) fn one(&self, query: &[f32], team: &Team) -> Result<Vec<Hit>> {
        let lists = self
            .clusters
            .coarse
            .rank(query, self.effort.probes)?
            .concat();
        let vectors: usize = lists.iter().map(|ranked| self.list(ranked).count).sum();
        let mut shortlist = match vectors < PARALLEL_VECTORS || team.threads() == 1 {
            true => self.shortlist(query, &lists)?,
            false => self.shortlist_together(query, &lists, team)?,
        };
        self.compare(query, &mut shortlist)
    }

    /// The nearest to each of a batch of queries.
    pub(crate) fn batch(&self, queries: &[f32], team: &Team) -> Result<Vec<Vec<Hit>>> {
        let count = queries.len() / self.rows.dimension;
        let group = count
            .div_ceil(GROUPS_A_THREAD * team.threads())
            .clamp(1, MOST_IN_GROUP);
        let groups: Vec<_> = queries.chunks(group * self.rows.dimension).collect();
        let found = map(team, groups.len(), |group| self.group(groups[group]))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The nearest to each of some queries, on this thread. A list is read for all queries that it is
    /// near to, one after another, while it is in the first cache; but each query begins with its
    /// nearest lists, so that it soon knows which estimates are worth keeping.
    fn group(&self, queries: &[f32]) -> Result<Vec<Vec<Hit>>> {
        let ranked = self.clusters.coarse.rank(queries, self.effort.probes)?;
        let queries = || queries.chunks_exact(self.rows.dimension);
        let coded = queries()
            .map(|query| self.coded(query))
            .collect::<Result<Vec<_>>>()?;
        let mut shortlists: Vec<_> = ranked
            .iter()
            .map(|_| Shortlist::new(self.effort.rerank))
            .collect();
        for ((coded, lists), shortlist) in coded.iter().zip(&ranked).zip(&mut shortlists) {
            self.scan(coded, &lists[..lists.len().min(FIRST_LISTS)], shortlist)?;
        }
        for Visit { query, ranked } in visits(&ranked) {
            let (list, accepted) = (self.list(&ranked), self.accepted);
            list.scan(
                &coded[query],
                ranked.score,
                accepted,
                &mut shortlists[query],
            )?;
        }
        let pairs = queries().zip(&mut shortlists);
        pairs
            .map(|(query, shortlist)| self.compare(query, shortlist))
            .collect()
    }

    /// The rows of some lists with the best estimates.
    pub(crate) fn shortlist(&self, query: &[f32], lists: &[Ranked]) -> Result<Shortlist> {
        let coded = self.coded(query)?;
        let mut shortlist = Shortlist::new(self.effort.rerank);
        self.scan(&coded, lists, &mut shortlist)?;
        Ok(shortlist)
    }

    fn shortlist_together(
        &self,
        query: &[f32],
        lists: &[Ranked],
        team: &Team,
    ) -> Result<Shortlist> {
        let coded = self.coded(query)?;
        let tasks: Vec<_> = lists.chunks(LISTS_A_TASK).collect();
        let start = || Shortlist::new(self.effort.rerank);
        let shortlists = gather(team, tasks.len(), start, |shortlist, task| {
            self.scan(&coded, tasks[task], shortlist)
        })?;
        let merged = shortlists.into_iter().reduce(|mut left, right| {
            left.merge(&right);
            left
        });
        Ok(merged.unwrap_or_else(start))
    }

    fn coded(&self, query: &[f32]) -> Result<CodedQuery> {
        let codec = &self.clusters.codec;
        Ok(match codec.codes {
            Codes::Bits => CodedQuery::Bits(BitQuery::new(&rotated(codec, query)?)?),
            Codes::Bytes => CodedQuery::Bytes(ByteQueries::new(query, codec.dimension)?),
        })
    }

    /// Offers the rows of some lists; each is asked for while the one before it is read.
    fn scan(&self, query: &CodedQuery, lists: &[Ranked], shortlist: &mut Shortlist) -> Result<()> {
        for (at, ranked) in lists.iter().enumerate() {
            if let Some(next) = lists.get(at + 1) {
                self.list(next).prefetch();
            }
            self.list(ranked)
                .scan(query, ranked.score, self.accepted, shortlist)?;
        }
        Ok(())
    }

    fn list(&self, ranked: &Ranked) -> &List {
        &self.clusters.lists[ranked.list as usize]
    }

    /// The nearest of a shortlist, by their exact scores.
    fn compare(&self, query: &[f32], shortlist: &mut Shortlist) -> Result<Vec<Hit>> {
        let mut nearest = TopK::new(self.k);
        let candidates = shortlist.finish();
        let candidates = &candidates[..candidates.len().min(self.effort.rerank)];
        for (at, candidate) in candidates.iter().enumerate() {
            if let Some(later) = candidates.get(at + ROWS_AHEAD) {
                self.rows.prefetch(later.row);
            }
            if self.rows.is_alive(candidate.row) {
                let score =
                    score::exact(self.rows.metric, query, self.rows.vector(candidate.row)?)?;
                if score >= nearest.bar() {
                    let id = self.rows.id(candidate.row)?;
                    nearest.offer(Hit { id, score });
                }
            }
        }
        Ok(nearest.into_hits())
    }
}

/// A list to be scanned for one query of a group.
#[derive(Clone, Copy)]
struct Visit {
    query: usize,
    ranked: Ranked,
}

/// All visits but those of the first lists, list by list.
fn visits(ranked: &[Vec<Ranked>]) -> Vec<Visit> {
    let of = |(query, lists): (usize, &Vec<Ranked>)| {
        let later: Vec<_> = lists.iter().skip(FIRST_LISTS).copied().collect();
        later.into_iter().map(move |ranked| Visit { query, ranked })
    };
    let mut visits: Vec<_> = ranked.iter().enumerate().flat_map(of).collect();
    visits.sort_unstable_by_key(|visit| visit.ranked.list);
    visits
}
