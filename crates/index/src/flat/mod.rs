//! Exact search: every query meets every vector, or is proved not to need it.

mod bytes;
mod exact;
mod range;

use longtrainer_kernels::Team;

pub(crate) use self::range::within;
use crate::rows::{Bitmap, CHUNK, Rows, WORD};
use crate::top_k::TopK;
use crate::{Hit, Result};

/// A search among all rows.
pub(crate) struct Scan<'a> {
    pub(crate) rows: &'a Rows,
    /// Whole queries, checked, and of length 1 under cosine.
    pub(crate) queries: &'a [f32],
    pub(crate) k: usize,
    /// The living rows that may be found; `None` if all of them.
    pub(crate) accepted: Option<&'a Bitmap>,
}

impl Scan<'_> {
    /// The nearest rows to each query.
    pub(crate) fn run(&self, team: &Team) -> Result<Vec<Vec<Hit>>> {
        let nearest = match bytes::pays(self) {
            true => bytes::nearest(self, team)?,
            false => exact::nearest(self, team)?,
        };
        Ok(nearest.into_iter().map(TopK::into_hits).collect())
    }

    fn query_count(&self) -> usize {
        self.queries.len() / self.rows.dimension
    }

    /// The rows of a chunk that may be found, a bit a row; `None` if all.
    fn accepted(&self, chunk: usize) -> Option<&[u64]> {
        const WORDS: usize = CHUNK / WORD;
        match self.accepted {
            Some(accepted) => {
                let words = accepted.words();
                Some(&words[chunk * WORDS..words.len().min((chunk + 1) * WORDS)])
            }
            None => self.rows.chunks()[chunk].alive(),
        }
    }
}
