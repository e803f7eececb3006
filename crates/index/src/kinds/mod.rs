//! The kinds of index. They differ in when vectors are divided into lists, and are otherwise one.

mod auto;
mod flat;
mod ivf;
mod mirrored;

use std::fmt;
use std::path::Path;

pub use self::auto::AutoIndex;
pub use self::flat::{FlatIndex, Scan};
pub use self::ivf::{IvfIndex, Tuning};
pub use self::mirrored::{Mirror, MirrorError, MirroredIndex};
use crate::options::Search;
use crate::store::Store;
use crate::{Hit, Memory, Metric, Result, VectorIndex};

/// An index that is a store with a policy.
trait Kind: Send + Sync {
    fn store(&self) -> &Store;
}

impl<T: Kind> VectorIndex for T {
    fn dimension(&self) -> usize {
        self.store().snapshot().rows.dimension
    }

    fn metric(&self) -> Metric {
        self.store().snapshot().rows.metric
    }

    fn len(&self) -> usize {
        self.store().snapshot().rows.alive()
    }

    fn upsert(&self, ids: &[u64], vectors: &[f32]) -> Result<()> {
        self.store().upsert(ids, vectors)
    }

    fn remove(&self, ids: &[u64]) -> Result<usize> {
        self.store().remove(ids)
    }

    fn search(&self, query: &[f32], k: usize) -> Result<Vec<Hit>> {
        self.store().search(query, k, Search::Usual)
    }

    fn search_filtered(
        &self,
        query: &[f32],
        k: usize,
        accept: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<Hit>> {
        self.store()
            .search_filtered(query, k, accept, Search::Usual)
    }

    fn search_batch(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Hit>>> {
        self.store().search_batch(queries, k, Search::Usual)
    }

    fn search_range(&self, query: &[f32], least: f32) -> Result<Vec<Hit>> {
        self.store().search_range(query, least)
    }

    fn compact(&self) -> Result<()> {
        self.store().compact()
    }

    fn memory(&self) -> Memory {
        self.store().memory()
    }

    fn save(&self, path: &Path, revision: u64) -> Result<()> {
        self.store().save(path, revision)
    }
}

fn describe(kind: &str, store: &Store, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let now = store.snapshot();
    f.debug_struct(kind)
        .field("metric", &now.rows.metric)
        .field("dimension", &now.rows.dimension)
        .field("len", &now.rows.alive())
        .field(
            "lists",
            &now.clusters
                .as_ref()
                .map_or(0, |clusters| clusters.lists.len()),
        )
        .finish_non_exhaustive()
}
