//! Exact search by way of byte codes: they rule out nearly every row, and what is left is compared
//! exactly. Codes that the index does not keep are made chunk by chunk, which pays for a batch.

use longtrainer_kernels::{ByteQueries, ByteScan, RowIds, Shortlist, Team};

use super::exact::merged;
use super::{Scan, exact};
use crate::bytes::{ByteBuffers, ByteRows, MOST_CODED, QueryNorms};
use crate::rows::{Bitmap, CHUNK};
use crate::tasks::{gather, map};
use crate::top_k::TopK;
use crate::{Hit, Metric, Result, score};

/// Queries from which on codes are made for the occasion.
const QUERIES_FOR_ENCODING: usize = 96;
/// A scan for more than one row in so many is exact from the start.
const ROWS_A_HIT: usize = 16;
/// Nor do codes pay if fewer than one row in so many may be found.
const SPARSE: usize = 8;
/// Queries at once, so that their shortlists do not take more memory than the index.
const QUERY_BLOCK: usize = 2048;
/// Queries that a thread takes at once when shortlists are compared exactly.
const QUERIES_A_TASK: usize = 16;

/// Whether codes are the quicker way.
pub(super) fn pays(scan: &Scan<'_>) -> bool {
    let rows = scan.rows;
    let queries = scan.query_count();
    if rows.dimension > MOST_CODED as usize {
        return false;
    }
    let worth = rows.coded() || (queries >= QUERIES_FOR_ENCODING && rows.len() >= CHUNK);
    let among = scan.accepted.map_or(rows.alive(), Bitmap::count);
    worth
        && queries > 0
        && among >= rows.len() / SPARSE
        && scan.k.saturating_mul(ROWS_A_HIT) <= among
}

/// The nearest rows to each query.
pub(super) fn nearest(scan: &Scan<'_>, team: &Team) -> Result<Vec<TopK>> {
    let block = QUERY_BLOCK * scan.rows.dimension;
    let mut all = Vec::with_capacity(scan.query_count());
    for queries in scan.queries.chunks(block) {
        all.append(&mut nearest_to_block(&Scan { queries, ..*scan }, team)?);
    }
    Ok(all)
}

fn nearest_to_block(scan: &Scan<'_>, team: &Team) -> Result<Vec<TopK>> {
    let coded = CodedQueries::new(scan)?;
    let start = || Worker::new(scan, &coded);
    let workers = gather(team, scan.rows.chunks().len(), start, Worker::visit)?;
    let (lists, compared): (Vec<_>, Vec<_>) = workers
        .into_iter()
        .map(|worker| (worker.shortlists, worker.compared))
        .unzip();
    let shortlists = merged_lists(scan, lists);
    let shortlisted = compare_exactly(scan, shortlists, team)?;
    Ok(merged(scan, compared.into_iter().chain([shortlisted])))
}

/// The queries in bytes, with what their bounds need.
struct CodedQueries {
    codes: ByteQueries,
    norms: Vec<QueryNorms>,
    bases: Vec<f32>,
    gain: f32,
}

impl CodedQueries {
    fn new(scan: &Scan<'_>) -> Result<CodedQueries> {
        let codes = ByteQueries::new(scan.queries, scan.rows.dimension)?;
        let exact = scan
            .queries
            .chunks_exact(scan.rows.dimension)
            .map(score::norm);
        let norms: Vec<_> = exact
            .enumerate()
            .map(|(query, norm)| QueryNorms {
                exact: norm as f32,
                coded: codes.norm(query).unwrap_or(f32::INFINITY),
                error: codes.error(query).unwrap_or(f32::INFINITY),
            })
            .collect();
        let l2 = scan.rows.metric == Metric::L2;
        let bases = norms
            .iter()
            .filter(|_| l2)
            .map(|norms| -norms.exact * norms.exact);
        Ok(CodedQueries {
            bases: bases.collect(),
            gain: if l2 { 2.0 } else { 1.0 },
            codes,
            norms,
        })
    }
}

/// What one thread works with.
struct Worker<'a> {
    scan: &'a Scan<'a>,
    queries: &'a CodedQueries,
    /// Rows that may be among the nearest, for each query.
    shortlists: Vec<Shortlist>,
    /// The nearest of the chunks whose scores have no bound, for each query.
    compared: Vec<TopK>,
    slacks: Vec<f32>,
    buffers: ByteBuffers,
}

impl<'a> Worker<'a> {
    fn new(scan: &'a Scan<'a>, queries: &'a CodedQueries) -> Worker<'a> {
        let count = scan.query_count();
        Worker {
            scan,
            queries,
            shortlists: (0..count).map(|_| Shortlist::new(scan.k)).collect(),
            compared: vec![TopK::new(scan.k); count],
            slacks: Vec::with_capacity(count),
            buffers: ByteBuffers::default(),
        }
    }

    /// Offers the rows of a chunk to every query.
    fn visit(&mut self, index: usize) -> Result<()> {
        let rows = self.scan.rows;
        let chunk = &rows.chunks()[index];
        let mut buffers = std::mem::take(&mut self.buffers);
        let codes = match chunk.codes() {
            Some(codes) => codes.get()?,
            None => {
                buffers.encode(rows.metric, rows.dimension, chunk.vectors()?)?;
                buffers.get()
            }
        };
        match self.set_slacks(&codes) {
            true => self.shortlist(index, &codes)?,
            false => exact::visit(self.scan, index, &mut self.compared)?,
        }
        self.buffers = buffers;
        Ok(())
    }

    /// Sets the slack of each query; returns whether all have one.
    fn set_slacks(&mut self, codes: &ByteRows<'_>) -> bool {
        let rows = self.scan.rows;
        let slacks = codes.slacks_of(rows.metric, rows.dimension, &self.queries.norms);
        self.slacks.clear();
        self.slacks.extend(slacks);
        self.slacks.len() == self.queries.norms.len()
    }

    fn shortlist(&mut self, index: usize, codes: &ByteRows<'_>) -> Result<()> {
        let scan = ByteScan {
            queries: &self.queries.codes,
            range: 0..self.queries.codes.len(),
            codes: codes.codes,
            count: self.scan.rows.chunks()[index].rows(),
            factors: codes.factors,
            offsets: codes.offsets,
            slacks: Some(codes.slacks),
            bases: &self.queries.bases,
            gain: self.queries.gain,
            slack: &self.slacks,
            rows: RowIds::First((index * CHUNK) as u32),
            accept: self.scan.accepted(index),
        };
        Ok(scan.run(&mut self.shortlists)?)
    }
}

/// What all threads shortlisted, query by query.
fn merged_lists(scan: &Scan<'_>, lists: Vec<Vec<Shortlist>>) -> Vec<Shortlist> {
    let merged = lists.into_iter().reduce(|mut left, right| {
        left.iter_mut()
            .zip(&right)
            .for_each(|(left, right)| left.merge(right));
        left
    });
    merged.unwrap_or_else(|| {
        (0..scan.query_count())
            .map(|_| Shortlist::new(scan.k))
            .collect()
    })
}

/// The nearest of each query's shortlist.
fn compare_exactly(
    scan: &Scan<'_>,
    mut shortlists: Vec<Shortlist>,
    team: &Team,
) -> Result<Vec<TopK>> {
    let dimension = scan.rows.dimension;
    let lists: Vec<_> = shortlists
        .chunks_mut(QUERIES_A_TASK)
        .map(std::sync::Mutex::new)
        .collect();
    let compared = map(team, lists.len(), |task| {
        let queries = scan
            .queries
            .chunks_exact(dimension)
            .skip(task * QUERIES_A_TASK);
        let mut lists = lists[task]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let pairs = queries.zip(lists.iter_mut());
        pairs
            .map(|(query, list)| compare(scan, query, list))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(compared.into_iter().flatten().collect())
}

/// Compares a query with its shortlist, the most promising rows first, until no other can be nearer
/// than the `k` found.
fn compare(scan: &Scan<'_>, query: &[f32], shortlist: &mut Shortlist) -> Result<TopK> {
    let mut nearest = TopK::new(scan.k);
    for candidate in shortlist.finish() {
        if candidate.upper < nearest.bar() {
            break;
        }
        let score = score::exact(scan.rows.metric, query, scan.rows.vector(candidate.row)?)?;
        let id = scan.rows.id(candidate.row)?;
        nearest.offer(Hit { id, score });
    }
    Ok(nearest)
}
