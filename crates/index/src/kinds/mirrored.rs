//! An exact index whose vectors have a copy elsewhere, in a graphics card's memory, that finds the nearest quickly.
//!
//! The copy holds the rows of a snapshot in their order. Before a search it is brought up to the present snapshot:
//! snapshots share the chunks that no write has touched, so only the others are copied. The copy proposes rows; the
//! scores of what it proposes are computed here, as always.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{FlatIndex, Kind};
use crate::rows::{CHUNK, Chunk, Rows};
use crate::store::Snapshot;
use crate::{Error, Hit, Memory, Metric, Result, VectorIndex, check, score};

/// What goes wrong in a [`Mirror`].
pub type MirrorError = Box<dyn std::error::Error + Send + Sync>;

/// Rows of numbers in a place that multiplies them quickly.
pub trait Mirror: Send {
    /// Values of a row.
    fn width(&self) -> usize;
    /// How many rows there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Puts whole rows at `start`, over those that are there and behind the last.
    ///
    /// # Errors
    ///
    /// If `start` is beyond the last row, or there is no memory. Rows before `start` are then as they were.
    fn write(&mut self, start: usize, values: &[f32]) -> Result<(), MirrorError>;
    /// Forgets the rows from `len` on.
    fn truncate(&mut self, len: usize);
    /// For each query (whole rows, one after another) the `k` rows with the greatest inner products, in any order,
    /// fewer if there are fewer.
    ///
    /// # Errors
    ///
    /// If they cannot be computed.
    fn greatest(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<usize>>, MirrorError>;
    /// The greatest `k` that may be asked for.
    fn most(&self) -> usize;
}

/// Rows that are proposed beside those that are wanted: the copy may round otherwise than we do, so that the last
/// wanted one may come a little later there.
const BESIDE: usize = 8;
/// The term of a row that must not be found.
const NEVER: f32 = f32::MIN / 4.0;

/// An exact index with a copy of its vectors.
///
/// [`search`](VectorIndex::search) and [`search_batch`](VectorIndex::search_batch) use the copy and take turns with
/// it; the first after a write copies what has changed. Everything else, and a search for more than the copy can
/// find, goes by the index itself. Scores are those of [`FlatIndex`]; which of several vectors comes last may differ
/// where their scores differ by less than the copy's rounding.
pub struct MirroredIndex<M> {
    flat: FlatIndex,
    copy: Mutex<Copy<M>>,
}

struct Copy<M> {
    mirror: M,
    /// What was copied.
    chunks: Vec<Arc<Chunk>>,
    /// Whether all vectors stay far from the ends of the numbers.
    moderate: bool,
}

impl<M: Mirror> MirroredIndex<M> {
    /// Values of a row of the copy of an index with vectors of `dimension` components: one more, which makes rows
    /// comparable under L2 and keeps removed ones away.
    pub fn width(dimension: usize) -> usize {
        dimension + 1
    }

    /// An index with a copy, which is filled when it is first searched.
    ///
    /// # Errors
    ///
    /// [`Error::Mirror`] if rows of the copy have another width than [`width`](Self::width).
    pub fn new(flat: FlatIndex, mirror: M) -> Result<Self> {
        let wanted = Self::width(flat.dimension());
        if mirror.width() != wanted {
            let problem = format!("rows of {} values, not {wanted}", mirror.width());
            return Err(Error::Mirror {
                source: problem.into(),
            });
        }
        Ok(Self {
            flat,
            copy: Mutex::new(Copy {
                mirror,
                chunks: Vec::new(),
                moderate: true,
            }),
        })
    }

    fn by_copy(&self, now: &Snapshot, queries: &[f32], k: usize) -> Result<Option<Vec<Vec<Hit>>>> {
        let wanted = k.min(now.rows.alive());
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted + BESIDE > copy.mirror.most() || !check::are_moderate(queries) {
            return Ok(None);
        }
        copy.follow(&now.rows)?;
        if !copy.moderate {
            return Ok(None);
        }
        let dimension = now.rows.dimension;
        let found = copy
            .mirror
            .greatest(&with_one(queries, dimension), wanted + BESIDE);
        drop(copy);
        let found = found.map_err(|source| Error::Mirror { source })?;
        let queries = queries.chunks_exact(dimension).zip(found);
        let hits = queries.map(|(query, proposed)| hits(&now.rows, query, &proposed, wanted));
        hits.collect::<Result<Vec<_>>>().map(Some)
    }
}

impl<M: Mirror> Copy<M> {
    /// Copies what differs from the rows.
    fn follow(&mut self, rows: &Rows) -> Result<()> {
        for (index, chunk) in rows.chunks().iter().enumerate() {
            let known = self.chunks.get(index);
            if known.is_some_and(|known| Arc::ptr_eq(known, chunk)) {
                continue;
            }
            let values = copied_rows(rows, chunk)?;
            self.moderate &= check::are_moderate(chunk.vectors()?);
            let written = self.mirror.write(index * CHUNK, &values);
            if let Err(source) = written {
                // Nothing from here on counts as copied.
                self.chunks.truncate(index);
                return Err(Error::Mirror { source });
            }
            match self.chunks.get_mut(index) {
                Some(known) => *known = Arc::clone(chunk),
                None => self.chunks.push(Arc::clone(chunk)),
            }
        }
        self.chunks.truncate(rows.chunks().len());
        self.mirror.truncate(rows.len());
        Ok(())
    }
}

/// The rows of a chunk as they are copied: a vector with what is added to its inner product.
fn copied_rows(rows: &Rows, chunk: &Chunk) -> Result<Vec<f32>> {
    let vectors = chunk.vectors()?.chunks_exact(rows.dimension);
    let mut values = Vec::with_capacity(vectors.len() * (rows.dimension + 1));
    for (place, vector) in vectors.enumerate() {
        match chunk.is_alive(place) {
            true => {
                values.extend_from_slice(vector);
                values.push(term(rows.metric, vector));
            }
            false => {
                values.extend(std::iter::repeat_n(0.0, rows.dimension));
                values.push(NEVER);
            }
        }
    }
    Ok(values)
}

/// With it, a greater inner product is nearer under every metric.
fn term(metric: Metric, vector: &[f32]) -> f32 {
    match metric {
        Metric::InnerProduct | Metric::Cosine => 0.0,
        Metric::L2 => (-score::squared_norm(vector) / 2.0) as f32,
    }
}

/// Queries, each with the factor of that term.
fn with_one(queries: &[f32], dimension: usize) -> Vec<f32> {
    let queries = queries.chunks_exact(dimension);
    let with_one = queries.flat_map(|query| query.iter().copied().chain([1.0]));
    with_one.collect()
}

/// The nearest of the proposed rows, by exact scores.
fn hits(rows: &Rows, query: &[f32], proposed: &[usize], k: usize) -> Result<Vec<Hit>> {
    let mut hits = Vec::with_capacity(proposed.len());
    for &row in proposed.iter().filter(|row| **row < rows.len()) {
        let row = row as u32;
        if rows.is_alive(row) {
            hits.push(Hit {
                id: rows.id(row)?,
                score: score::exact(rows.metric, query, rows.vector(row)?)?,
            });
        }
    }
    hits.sort_unstable_by(|left, right| {
        let nearer = right.score.total_cmp(&left.score);
        nearer.then(left.id.cmp(&right.id))
    });
    hits.truncate(k);
    Ok(hits)
}

impl<M: Mirror> VectorIndex for MirroredIndex<M> {
    fn dimension(&self) -> usize {
        self.flat.dimension()
    }

    fn metric(&self) -> Metric {
        self.flat.metric()
    }

    fn len(&self) -> usize {
        self.flat.len()
    }

    fn upsert(&self, ids: &[u64], vectors: &[f32]) -> Result<()> {
        self.flat.upsert(ids, vectors)
    }

    fn remove(&self, ids: &[u64]) -> Result<usize> {
        self.flat.remove(ids)
    }

    fn search(&self, query: &[f32], k: usize) -> Result<Vec<Hit>> {
        let now = self.flat.store().snapshot();
        match self.by_copy(&now, &now.query(query)?, k)? {
            Some(found) => Ok(found.concat()),
            None => self.flat.search(query, k),
        }
    }

    fn search_filtered(
        &self,
        query: &[f32],
        k: usize,
        accept: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<Hit>> {
        self.flat.search_filtered(query, k, accept)
    }

    fn search_batch(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Hit>>> {
        let now = self.flat.store().snapshot();
        match self.by_copy(&now, &now.queries(queries)?, k)? {
            Some(found) => Ok(found),
            None => self.flat.search_batch(queries, k),
        }
    }

    fn search_range(&self, query: &[f32], least: f32) -> Result<Vec<Hit>> {
        self.flat.search_range(query, least)
    }

    fn compact(&self) -> Result<()> {
        self.flat.compact()
    }

    fn memory(&self) -> Memory {
        self.flat.memory()
    }

    fn save(&self, path: &Path, revision: u64) -> Result<()> {
        self.flat.save(path, revision)
    }
}

impl<M> fmt::Debug for MirroredIndex<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirroredIndex")
            .field("flat", &self.flat)
            .finish_non_exhaustive()
    }
}
