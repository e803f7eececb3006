//! What all kinds of index are made of: a snapshot that searches read, and a writer that replaces it.
//!
//! A search takes the present snapshot and keeps it until it has its answer. A writer prepares the
//! next one beside it, sharing all that it does not change, and puts it in place in one step; writers
//! take turns. Whatever fails before that step leaves the index as it was.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use longtrainer_kernels::Team;

use crate::bytes::MOST_CODED;
use crate::flat::{Scan, within};
use crate::ivf::{Clusters, Effort, NEIGHBOURS, Search, tune};
use crate::normalise::normalise;
use crate::options::{IvfOptions, Search as Wanted};
use crate::rows::{Bitmap, Rows};
use crate::{Error, Hit, Memory, Metric, Result, Tuning, check};

/// Rows are compacted when one in so many is dead, ...
const DEAD_SHARE: usize = 4;
/// ...if that many are.
const DEAD_LEAST: usize = 1024;
/// A filter that takes so few vectors is answered exactly, ...
const FEW_ACCEPTED: usize = 10_000;
/// ...and so is one that takes fewer than one in so many.
const ACCEPTED_SHARE: usize = 20;

/// When vectors are divided into lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Policy {
    /// Never.
    Never,
    /// When the caller says so; the lists are then kept up to date.
    Asked(IvfOptions),
    /// While there are at least so many vectors.
    From(usize, IvfOptions),
}

impl Policy {
    /// The recall of a search that does not say one.
    fn recall(&self) -> f32 {
        match self {
            Policy::Never => 1.0,
            Policy::Asked(options) | Policy::From(_, options) => options.recall,
        }
    }
}

/// The state of an index at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) rows: Rows,
    pub(crate) clusters: Option<Clusters>,
}

/// An index of any kind.
pub(crate) struct Store {
    current: ArcSwap<Snapshot>,
    writer: Mutex<Writer>,
    policy: Policy,
    team: Arc<Team>,
}

/// What only writers need.
#[derive(Debug, Default)]
struct Writer {
    /// The row of each living id. Learnt at the first write, so that opening a file costs nothing.
    row_of: Option<HashMap<u64, u32>>,
}

impl Store {
    pub(crate) fn new(
        metric: Metric,
        dimension: usize,
        coded: bool,
        policy: Policy,
    ) -> Result<Store> {
        let maximum = match coded || policy != Policy::Never {
            true => MOST_CODED,
            false => u32::MAX,
        };
        if dimension == 0 || dimension > maximum as usize {
            return Err(Error::UnsupportedDimension {
                received: dimension,
                maximum,
            });
        }
        let rows = Rows::new(metric, dimension, coded);
        Ok(Self::of(
            Snapshot {
                rows,
                clusters: None,
            },
            policy,
        ))
    }

    pub(crate) fn of(snapshot: Snapshot, policy: Policy) -> Store {
        Store {
            current: ArcSwap::from_pointee(snapshot),
            writer: Mutex::default(),
            policy,
            team: Arc::clone(Team::shared()),
        }
    }

    /// The same index with threads of its own.
    pub(crate) fn with_threads(mut self, threads: usize) -> Result<Store> {
        let team = Team::new(threads).map_err(|source| Error::Threads { threads, source })?;
        self.team = Arc::new(team);
        Ok(self)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    /// What a search of this kind looks at; `None` for an exact one.
    pub(crate) fn tuning(&self, wanted: Wanted) -> Option<Tuning> {
        let now = self.current.load();
        let clusters = now.clusters.as_ref()?;
        let recall = match wanted {
            Wanted::Recall(recall) => recall,
            _ => self.policy.recall(),
        };
        let step = clusters.tuning.step_for(recall)?;
        Some(Tuning {
            lists: clusters.lists.len(),
            probes: step.effort.probes,
            rerank: step.effort.rerank,
            recall: step.recall,
        })
    }

    pub(crate) fn memory(&self) -> Memory {
        self.snapshot().memory()
    }

    /// Stores vectors under ids; see the trait.
    pub(crate) fn upsert(&self, ids: &[u64], vectors: &[f32]) -> Result<()> {
        let mut writer = self.lock();
        let now = self.snapshot();
        let (metric, dimension) = (now.rows.metric, now.rows.dimension);
        check::vectors(metric, dimension, ids, vectors)?;
        let vectors = as_compared(metric, dimension, vectors);
        if self.policy != Policy::Never {
            check::moderate(dimension, ids, &vectors)?;
        }
        let first = now.rows.len();
        let mut next = Snapshot::clone(&now);
        next.rows.append(ids, &vectors)?;
        let row_of = writer.row_of(&now.rows, ids.len())?;
        ids.iter()
            .filter_map(|id| row_of.get(id))
            .for_each(|&row| next.rows.kill(row));
        if let Some(clusters) = &now.clusters {
            next.clusters = Some(clusters.extended(&next.rows, first, &self.team)?);
        }
        row_of.extend(ids.iter().zip(first as u32..).map(|(&id, row)| (id, row)));
        self.current.store(Arc::new(next));
        self.maintain(&mut writer)
    }

    /// Removes the vectors under ids; see the trait.
    pub(crate) fn remove(&self, ids: &[u64]) -> Result<usize> {
        let mut writer = self.lock();
        let mut next = Snapshot::clone(&self.snapshot());
        let row_of = writer.row_of(&next.rows, 0)?;
        let rows: Vec<u32> = ids.iter().filter_map(|id| row_of.remove(id)).collect();
        rows.iter().for_each(|&row| next.rows.kill(row));
        self.current.store(Arc::new(next));
        self.maintain(&mut writer)?;
        Ok(rows.len())
    }

    /// Gives back what dead rows take.
    pub(crate) fn compact(&self) -> Result<()> {
        let mut writer = self.lock();
        self.compact_now(&mut writer)
    }

    /// Divides the vectors into lists now.
    pub(crate) fn train(&self) -> Result<()> {
        let _writer = self.lock();
        let vectors = self.snapshot().rows.alive();
        match &self.policy {
            Policy::Never => Ok(()),
            Policy::Asked(options) | Policy::From(_, options) => match options.lists {
                Some(lists) if lists > vectors => Err(Error::TooFewVectors { vectors, lists }),
                _ => self.train_now(options),
            },
        }
    }

    /// What a growing or shrinking index needs from time to time.
    fn maintain(&self, writer: &mut Writer) -> Result<()> {
        let now = self.snapshot();
        let dead = now.rows.len() - now.rows.alive();
        if dead >= DEAD_LEAST && dead * DEAD_SHARE >= now.rows.len() {
            self.compact_now(writer)?;
        }
        let alive = now.rows.alive();
        let stale = now
            .clusters
            .as_ref()
            .map(|clusters| clusters.is_stale(alive));
        match (&self.policy, stale) {
            (Policy::From(least, _), Some(_)) if alive < least / 2 => self.forget_lists(),
            (Policy::From(least, options), None) if alive >= *least => self.train_now(options)?,
            (Policy::From(_, options), Some(true)) => self.train_now(options)?,
            (Policy::Asked(options), Some(true)) if alive > 0 => self.train_now(options)?,
            _ => {}
        }
        Ok(())
    }

    fn compact_now(&self, writer: &mut Writer) -> Result<()> {
        let now = self.snapshot();
        if now.rows.len() == now.rows.alive() {
            return Ok(());
        }
        self.current.store(Arc::new(now.compacted(&self.team)?));
        writer.row_of = None;
        Ok(())
    }

    fn train_now(&self, options: &IvfOptions) -> Result<()> {
        let now = self.snapshot();
        let lists = options.lists_for(now.rows.alive());
        let mut clusters = Clusters::train(&now.rows, lists, options.codes, &self.team)?;
        clusters.tuning = Arc::new(tune(&now.rows, &clusters, &self.team)?);
        let mut next = Snapshot::clone(&now);
        next.clusters = Some(clusters);
        self.current.store(Arc::new(next));
        Ok(())
    }

    fn forget_lists(&self) {
        let mut next = Snapshot::clone(&self.snapshot());
        next.clusters = None;
        self.current.store(Arc::new(next));
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

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// The row of each living id, with room for more.
    fn row_of(&mut self, rows: &Rows, more: usize) -> Result<&mut HashMap<u64, u32>> {
        if self.row_of.is_none() {
            let mut learnt = HashMap::new();
            reserve(&mut learnt, rows, rows.alive())?;
            rows.for_each_alive(|row, id| {
                learnt.insert(id, row);
            })?;
            self.row_of = Some(learnt);
        }
        let row_of = self.row_of.get_or_insert_default();
        reserve(row_of, rows, more)?;
        Ok(row_of)
    }
}

fn reserve(row_of: &mut HashMap<u64, u32>, rows: &Rows, more: usize) -> Result<()> {
    row_of.try_reserve(more).map_err(|source| Error::Memory {
        vectors: more,
        dimension: rows.dimension,
        source,
    })
}

impl Snapshot {
    fn by<'a>(&'a self, clusters: &'a Clusters, k: usize, effort: Effort) -> Search<'a> {
        Search {
            rows: &self.rows,
            clusters,
            k: k.min(self.rows.alive()),
            effort,
            accepted: None,
        }
    }

    fn exactly(
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

    fn all_exactly(
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
    fn accepted(&self, accept: &dyn Fn(u64) -> bool) -> Result<Bitmap> {
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
    fn query<'a>(&self, query: &'a [f32]) -> Result<Cow<'a, [f32]>> {
        let (expected, received) = (self.rows.dimension, query.len());
        match expected == received {
            true => self.queries(query),
            false => Err(Error::Dimension { expected, received }),
        }
    }

    /// The queries as they are compared.
    fn queries<'a>(&self, queries: &'a [f32]) -> Result<Cow<'a, [f32]>> {
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

    fn memory(&self) -> Memory {
        let clusters = self
            .clusters
            .as_ref()
            .map_or(Memory::default(), Clusters::memory);
        self.rows.memory() + clusters
    }
}

/// Vectors as they are compared: under cosine by their direction.
fn as_compared(metric: Metric, dimension: usize, vectors: &[f32]) -> Cow<'_, [f32]> {
    let mut vectors = Cow::Borrowed(vectors);
    if metric == Metric::Cosine {
        vectors
            .to_mut()
            .chunks_exact_mut(dimension)
            .for_each(normalise);
    }
    vectors
}
