//! Writing: the next snapshot is made beside the present one and takes its place.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::snapshot::as_compared;
use super::{Policy, Snapshot, Store};
use crate::ivf::{Clusters, tune};
use crate::options::IvfOptions;
use crate::rows::Rows;
use crate::{Error, Result, check};

/// Rows are compacted when one in so many is dead, ...
const DEAD_SHARE: usize = 4;
/// ...if that many are.
const DEAD_LEAST: usize = 1024;

/// What only writers need.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The row of each living id. Learnt at the first write, so that opening a file costs nothing.
    row_of: Option<HashMap<u64, u32>>,
}

impl Store {
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
        let mut next = Snapshot::clone(&now);
        let mut least = f64::INFINITY;
        for lists in options.lists_for(now.rows.alive()) {
            let trained = self.trained(&now.rows, lists, options)?;
            let cost = trained.tuning.cost_of(options.recall);
            if cost < least || least.is_infinite() {
                (next.clusters, least) = (Some(trained), cost);
            }
        }
        self.current.store(Arc::new(next));
        Ok(())
    }

    /// The rows in so many lists, trained and tuned.
    fn trained(&self, rows: &Rows, lists: usize, options: &IvfOptions) -> Result<Clusters> {
        let mut clusters = Clusters::train(rows, lists, options.codes, &self.team)?;
        clusters.tuning = Arc::new(tune(rows, &clusters, &self.team)?);
        Ok(clusters)
    }

    fn forget_lists(&self) {
        let mut next = Snapshot::clone(&self.snapshot());
        next.clusters = None;
        self.current.store(Arc::new(next));
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
