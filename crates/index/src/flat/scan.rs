//! Compares queries with rows, block by block, and keeps the nearest.
//!
//! A block of rows is small enough for the processor's cache, so that it comes from memory once
//! for all queries; no more scores than those of one block and a few queries ever exist. Large
//! scans are split over threads, each with its own heaps: as hits have a total order and a pair's
//! value does not depend on its neighbours, the result is the same however the work was split.

use std::ops::Range;

use longtrainer_kernels::{inner_product_table, squared_l2_table};
use rayon::prelude::*;

use super::rows::Rows;
use crate::top_k::TopK;
use crate::{Hit, Metric};

/// Components in a block of rows: 32 KiB, which a first-level cache holds.
const BLOCK_COMPONENTS: usize = 8 * 1024;
/// Queries whose scores against a block exist at once.
const QUERY_GROUP: usize = 16;
/// Multiplications from which on a scan is split over threads. Measured with 384 components on two
/// cores: handing work over costs some 20 microseconds, and breaks even at about 1.5 million.
const PARALLEL_WORK: usize = 2_000_000;
/// Fewest blocks that a thread takes at once.
const BLOCKS_PER_TASK: usize = 4;

/// A scan of some rows.
pub(crate) struct Scan<'a> {
    pub(crate) metric: Metric,
    pub(crate) rows: &'a Rows,
    /// Whole queries, checked, and of length 1 under cosine.
    pub(crate) queries: &'a [f32],
    pub(crate) k: usize,
}

impl Scan<'_> {
    /// The nearest rows to each query.
    pub(crate) fn all(&self) -> Vec<Vec<Hit>> {
        let rows = self.rows.ids().len();
        self.over(std::iter::once(0..rows))
    }

    /// The nearest rows to each query among those whose ids `accept` takes.
    pub(crate) fn accepted(&self, accept: &dyn Fn(u64) -> bool) -> Vec<Vec<Hit>> {
        self.over(accepted_runs(self.rows.ids(), accept).into_iter())
    }

    fn over(&self, runs: impl Iterator<Item = Range<usize>>) -> Vec<Vec<Hit>> {
        let blocks: Vec<_> = runs.flat_map(|run| self.blocks(run)).collect();
        let rows: usize = blocks.iter().map(|block| block.len()).sum();
        let nearest = if rows.saturating_mul(self.queries.len()) < PARALLEL_WORK {
            self.sequentially(&blocks)
        } else {
            self.in_parallel(&blocks)
        };
        nearest.into_iter().map(TopK::into_hits).collect()
    }

    /// Cuts a run of rows into blocks.
    fn blocks(&self, run: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = (BLOCK_COMPONENTS / self.rows.dimension()).max(1);
        let end = run.end;
        run.step_by(rows)
            .map(move |start| start..end.min(start + rows))
    }

    fn sequentially(&self, blocks: &[Range<usize>]) -> Vec<TopK> {
        let mut worker = Worker::new(self);
        blocks.iter().for_each(|block| worker.visit(block));
        worker.nearest
    }

    fn in_parallel(&self, blocks: &[Range<usize>]) -> Vec<TopK> {
        let workers = blocks.par_iter().with_min_len(BLOCKS_PER_TASK).fold(
            || Worker::new(self),
            |mut worker, block| {
                worker.visit(block);
                worker
            },
        );
        let merged = workers
            .map(|worker| worker.nearest)
            .reduce_with(|left, right| {
                left.into_iter()
                    .zip(right)
                    .map(|(left, right)| left.merge(right))
                    .collect()
            });
        merged.unwrap_or_else(|| Worker::new(self).nearest)
    }
}

/// The runs of rows whose ids `accept` takes; it is asked once for each id, on this thread.
fn accepted_runs(ids: &[u64], accept: &dyn Fn(u64) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (row, _) in ids.iter().enumerate().filter(|&(_, &id)| accept(id)) {
        match runs.last_mut() {
            Some(run) if run.end == row => run.end += 1,
            _ => runs.push(row..row + 1),
        }
    }
    runs
}

/// What one thread works with.
struct Worker<'a> {
    scan: &'a Scan<'a>,
    /// The nearest so far, for each query.
    nearest: Vec<TopK>,
    /// Kernel values of a group of queries against a block.
    values: Vec<f32>,
}

impl<'a> Worker<'a> {
    fn new(scan: &'a Scan<'a>) -> Worker<'a> {
        let queries = scan.queries.len() / scan.rows.dimension();
        Worker {
            scan,
            nearest: vec![TopK::new(scan.k); queries],
            values: Vec::new(),
        }
    }

    /// Offers the rows of a block to every query.
    fn visit(&mut self, block: &Range<usize>) {
        let Scan {
            metric,
            rows,
            queries,
            ..
        } = *self.scan;
        let dimension = rows.dimension();
        let ids = &rows.ids()[block.clone()];
        let vectors = &rows.vectors()[block.start * dimension..block.end * dimension];
        let groups = queries.chunks(QUERY_GROUP * dimension);
        for (queries, nearest) in groups.zip(self.nearest.chunks_mut(QUERY_GROUP)) {
            self.values.resize(nearest.len() * ids.len(), 0.0);
            compare(metric, queries, vectors, dimension, &mut self.values);
            let lines = self.values.chunks_exact(ids.len());
            let queries = queries.chunks_exact(dimension);
            for ((query, values), nearest) in queries.zip(lines).zip(nearest) {
                let rows = ids.iter().zip(vectors.chunks_exact(dimension));
                for ((&id, row), &value) in rows.zip(values) {
                    nearest.offer(Hit {
                        id,
                        score: score(metric, value, query, row),
                    });
                }
            }
        }
    }
}

/// Fills `values` with the kernel's values, query after query.
fn compare(metric: Metric, queries: &[f32], rows: &[f32], dimension: usize, values: &mut [f32]) {
    let filled = match metric {
        Metric::InnerProduct | Metric::Cosine => {
            inner_product_table(queries, rows, dimension, values)
        }
        Metric::L2 => squared_l2_table(queries, rows, dimension, values),
    };
    debug_assert_eq!(filled, Ok(()), "blocks and groups are whole vectors");
}

/// The score for a kernel's value; adding to 0 makes -0 to 0, which ranks equal to it.
#[inline]
fn score(metric: Metric, value: f32, query: &[f32], row: &[f32]) -> f32 {
    let value = if value.is_finite() {
        value
    } else {
        wide_value(metric, query, row)
    };
    match metric {
        Metric::InnerProduct => 0.0 + value,
        Metric::Cosine => 0.0 + value.clamp(-1.0, 1.0),
        Metric::L2 => 0.0 - value,
    }
}

/// The value by way of f64, for sums that leave the range of f32 on the way or for good; in the
/// latter case it is the greatest or least finite number.
#[cold]
fn wide_value(metric: Metric, query: &[f32], row: &[f32]) -> f32 {
    let terms = query.iter().zip(row).map(|(&a, &b)| {
        let (a, b) = (f64::from(a), f64::from(b));
        match metric {
            Metric::InnerProduct | Metric::Cosine => a * b,
            Metric::L2 => (a - b) * (a - b),
        }
    });
    terms
        .sum::<f64>()
        .clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}
