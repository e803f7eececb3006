//! Compares queries with all vectors, block by block, and keeps the nearest.
//!
//! A block of rows is small enough for the processor's cache, so that it comes from memory once
//! for all queries; no more scores than those of one block and a few queries ever exist. Large
//! scans are split over threads, each with its own heaps: as hits have a total order and a pair's
//! value does not depend on its neighbours, the result is the same however the work was split.

use std::ops::Range;

use longtrainer_kernels::Team;

use super::Scan;
use crate::rows::{CHUNK, Chunk, WORD};
use crate::score;
use crate::tasks::gather;
use crate::top_k::TopK;
use crate::{Hit, Result};

/// Components in a block of rows: 32 KiB, which a first-level cache holds.
const BLOCK_COMPONENTS: usize = 8 * 1024;
/// Queries whose scores against a block exist at once.
const QUERY_GROUP: usize = 16;
/// Multiplications from which on a scan is split over threads: some tens of microseconds.
const PARALLEL_WORK: usize = 500_000;
/// A block of which fewer than one row in so many may be found is compared row by row.
const SPARSE: usize = 4;

/// The nearest rows to each query.
pub(super) fn nearest(scan: &Scan<'_>, team: &Team) -> Result<Vec<TopK>> {
    let chunks = scan.rows.chunks();
    let start = || Worker::new(scan);
    let work = scan.rows.len().saturating_mul(scan.queries.len());
    let workers = if work < PARALLEL_WORK {
        let mut worker = start();
        (0..chunks.len()).try_for_each(|chunk| worker.visit(chunk))?;
        vec![worker]
    } else {
        gather(team, chunks.len(), start, Worker::visit)?
    };
    Ok(merged(
        scan,
        workers.into_iter().map(|worker| worker.nearest),
    ))
}

/// Offers the rows of one chunk to each query's nearest.
pub(super) fn visit(scan: &Scan<'_>, chunk: usize, nearest: &mut Vec<TopK>) -> Result<()> {
    let mut worker = Worker {
        nearest: std::mem::take(nearest),
        ..Worker::new(scan)
    };
    let visited = worker.visit(chunk);
    *nearest = worker.nearest;
    visited
}

/// What all threads found, query by query.
pub(super) fn merged(scan: &Scan<'_>, found: impl Iterator<Item = Vec<TopK>>) -> Vec<TopK> {
    found
        .reduce(|left, right| {
            let pairs = left.into_iter().zip(right);
            pairs.map(|(left, right)| left.merge(right)).collect()
        })
        .unwrap_or_else(|| vec![TopK::new(scan.k); scan.query_count()])
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
        Worker {
            scan,
            nearest: vec![TopK::new(scan.k); scan.query_count()],
            values: Vec::new(),
        }
    }

    /// Offers the rows of a chunk to every query.
    fn visit(&mut self, index: usize) -> Result<()> {
        let chunk = &self.scan.rows.chunks()[index];
        let accepted = self.scan.accepted(index);
        let block = (BLOCK_COMPONENTS / self.scan.rows.dimension)
            .max(1)
            .next_multiple_of(WORD)
            .min(CHUNK);
        for start in (0..chunk.rows()).step_by(block) {
            let rows = start..chunk.rows().min(start + block);
            match accepted.map(|words| count(words, &rows)) {
                Some(0) => {}
                Some(few) if few * SPARSE < rows.len() => self.row_by_row(chunk, rows, accepted)?,
                _ => self.block(chunk, rows, accepted)?,
            }
        }
        Ok(())
    }

    /// Compares the whole block and offers what may be found.
    fn block(&mut self, chunk: &Chunk, rows: Range<usize>, accepted: Option<&[u64]>) -> Result<()> {
        let Scan {
            rows: all, queries, ..
        } = *self.scan;
        let (metric, dimension) = (all.metric, all.dimension);
        let ids = &chunk.ids()?[rows.clone()];
        let vectors = &chunk.vectors()?[rows.start * dimension..rows.end * dimension];
        let groups = queries.chunks(QUERY_GROUP * dimension);
        for (queries, nearest) in groups.zip(self.nearest.chunks_mut(QUERY_GROUP)) {
            self.values.resize(nearest.len() * ids.len(), 0.0);
            score::table(metric, queries, vectors, dimension, &mut self.values)?;
            let lines = self.values.chunks_exact(ids.len());
            for ((query, values), nearest) in
                queries.chunks_exact(dimension).zip(lines).zip(nearest)
            {
                let vectors = vectors.chunks_exact(dimension);
                for (place, ((&id, vector), &value)) in
                    ids.iter().zip(vectors).zip(values).enumerate()
                {
                    let score = score::of_value(metric, value, query, vector);
                    if score >= nearest.bar() && is_in(accepted, rows.start + place) {
                        nearest.offer(Hit { id, score });
                    }
                }
            }
        }
        Ok(())
    }

    /// Compares only those rows of the block that may be found.
    fn row_by_row(
        &mut self,
        chunk: &Chunk,
        rows: Range<usize>,
        accepted: Option<&[u64]>,
    ) -> Result<()> {
        let Scan {
            rows: all, queries, ..
        } = *self.scan;
        let (metric, dimension) = (all.metric, all.dimension);
        let (ids, vectors) = (chunk.ids()?, chunk.vectors()?);
        for row in rows.filter(|&row| is_in(accepted, row)) {
            let vector = &vectors[row * dimension..(row + 1) * dimension];
            let queries = queries.chunks_exact(dimension);
            for (query, nearest) in queries.zip(&mut self.nearest) {
                let score = score::exact(metric, query, vector)?;
                nearest.offer(Hit {
                    id: ids[row],
                    score,
                });
            }
        }
        Ok(())
    }
}

/// Whether a row of the chunk may be found.
fn is_in(accepted: Option<&[u64]>, row: usize) -> bool {
    accepted.is_none_or(|words| words[row / WORD] >> (row % WORD) & 1 == 1)
}

/// Rows in a block, which begins with a word, that may be found.
fn count(words: &[u64], rows: &Range<usize>) -> usize {
    let words = &words[rows.start / WORD..rows.end.div_ceil(WORD)];
    words.iter().map(|word| word.count_ones() as usize).sum()
}
