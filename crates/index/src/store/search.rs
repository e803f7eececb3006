//! Searching: which way, how thoroughly, and what to do when lists have too little to offer.

use super::{Policy, Snapshot, Store};
use crate::flat::{Scan, within};
use crate::ivf::{Effort, NEIGHBOURS, Search};
use crate::options::Search as Wanted;
use crate::rows::Bitmap;
use crate::{Error, Hit, Result, Tuning, check};

/// A filter that takes so few vectors is answered exactly, ...
const FEW_ACCEPTED: usize = 10_000;
/// ...and so is one that takes fewer than one in so many.
const ACCEPTED_SHARE: usize = 20;

impl Store {
    /// What a usual search looks at; `None` for an exact one.
    pub(crate) fn tuning(&self) -> Option<Tuning> {
        let now = self.current.load();
        let clusters = now.clusters.as_ref()?;
        let step = clusters.tuning.step_for(self.policy.recall())?;
        Some(Tuning {
            lists: clusters.lists.len(),
            probes: step.effort.probes,
            rerank: step.effort.rerank,
            recall: step.recall,
        })
    }

    /// The nearest to one query.
    pub(crate) fn search(&self, query: &[f32], k: usize, wanted: Wanted) -> Result<Vec<Hit>> {
        let now = self.current.load();
        let query = now.query(query)?;
        match self.effort(&now, &query, k, wanted)? {
            Some(search) => self.by_lists(search, &query),
            None => now.exactly(&query, k, None, &self.team),
        }
    }

    /// The nearest to each of several queries.
    pub(crate) fn search_batch(
        &self,
        queries: &[f32],
        k: usize,
        wanted: Wanted,
    ) -> Result<Vec<Vec<Hit>>> {
        let now = self.current.load();
        let queries = now.queries(queries)?;
        match self.effort(&now, &queries, k, wanted)? {
            Some(search) => {
                let mut found = search.batch(&queries, &self.team)?;
                for (query, hits) in queries.chunks_exact(now.rows.dimension).zip(&mut found) {
                    if hits.len() < search.k.min(now.rows.alive()) {
                        *hits = self.by_lists(search, query)?;
                    }
                }
                Ok(found)
            }
            None => now.all_exactly(&queries, k, None, &self.team),
        }
    }

    /// The nearest to a query among those that `accept` takes.
    pub(crate) fn search_filtered(
        &self,
        query: &[f32],
        k: usize,
        accept: &dyn Fn(u64) -> bool,
        wanted: Wanted,
    ) -> Result<Vec<Hit>> {
        let now = self.current.load();
        let query = now.query(query)?;
        let accepted = now.accepted(accept)?;
        let count = accepted.count();
        let few = count <= FEW_ACCEPTED || count * ACCEPTED_SHARE <= now.rows.alive();
        match self.effort(&now, &query, k, wanted)? {
            Some(search) if !few => {
                // The nearest accepted vectors lie as much farther as accepted ones are rarer.
                let rarer = now.rows.alive().div_ceil(count);
                let effort = Effort {
                    probes: search.effort.probes.saturating_mul(rarer),
                    ..search.effort
                };
                let accepted = Some(&accepted);
                self.by_lists(
                    Search {
                        effort,
                        accepted,
                        ..search
                    },
                    &query,
                )
            }
            _ => now.exactly(&query, k, Some(&accepted), &self.team),
        }
    }

    /// All vectors at least so near.
    pub(crate) fn search_range(&self, query: &[f32], least: f32) -> Result<Vec<Hit>> {
        let now = self.current.load();
        let query = now.query(query)?;
        within(&now.rows, &query, least, &self.team)
    }

    /// A search by lists, or exactly if so many dead or refused vectors lie around the query that
    /// the lists have too little to offer.
    fn by_lists(&self, search: Search<'_>, query: &[f32]) -> Result<Vec<Hit>> {
        let found = search.one(query, &self.team)?;
        let there = search.accepted.map_or(search.rows.alive(), Bitmap::count);
        match found.len() < search.k.min(there) {
            true => {
                let scan = Scan {
                    rows: search.rows,
                    queries: query,
                    k: search.k,
                    accepted: search.accepted,
                };
                Ok(scan.run(&self.team)?.concat())
            }
            false => Ok(found),
        }
    }

    /// A search by lists as thorough as was asked for; `None` for an exact one.
    fn effort<'a>(
        &self,
        now: &'a Snapshot,
        queries: &[f32],
        k: usize,
        wanted: Wanted,
    ) -> Result<Option<Search<'a>>> {
        wanted.check()?;
        let Some(clusters) = &now.clusters else {
            return match (&self.policy, wanted) {
                (Policy::Asked(_), wanted) if wanted != Wanted::Exact && now.rows.alive() > 0 => {
                    Err(Error::Untrained {
                        vectors: now.rows.alive(),
                    })
                }
                _ => Ok(None),
            };
        };
        let recall = match wanted {
            Wanted::Exact => return Ok(None),
            _ if !check::are_moderate(queries) => return Ok(None),
            Wanted::Effort { probes, rerank } => {
                let effort = Effort {
                    probes,
                    rerank: rerank.max(k),
                };
                return Ok(Some(now.by(clusters, k, effort)));
            }
            Wanted::Usual => self.policy.recall(),
            Wanted::Recall(recall) => recall,
        };
        Ok(clusters.tuning.step_for(recall).map(|step| {
            // Measured for the nearest few; more of them lie as much deeper.
            let rerank = step
                .effort
                .rerank
                .saturating_mul(k.div_ceil(NEIGHBOURS))
                .max(k);
            now.by(
                clusters,
                k,
                Effort {
                    rerank,
                    ..step.effort
                },
            )
        }))
    }
}
