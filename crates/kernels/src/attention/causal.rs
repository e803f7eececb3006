//! Causal attention over a cache: the entry, which checks and then picks one of two ways.
//!
//! A few rows a head of keys are bound by reading the cache: `decode` cuts the positions into pages
//! and shares those out. Many rows are bound by arithmetic: `prefill` cuts the queries into tiles.

use crate::isa::Supported;
use crate::shape::{require_length, require_rows};
use crate::{Error, KeyValueCache, Result, Rows, Team};

use super::tile::Visible;
use super::{decode, prefill};

/// With this many rows of queries a head of keys, or fewer, the positions are shared out.
const DECODE_ROWS: usize = 48;

/// What both ways need to know.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) cpu: Supported,
    pub(super) team: &'a Team,
    pub(super) queries: Rows<'a>,
    pub(super) cache: &'a KeyValueCache,
    /// Heads of queries that share one head of keys.
    pub(super) group: usize,
    /// What a score is multiplied by, in powers of two: the caller's scale times log2(e).
    pub(super) scale: f32,
    pub(super) window: usize,
}

impl<'a> Job<'a> {
    /// The positions that the query `token` looks at: its own, and those before it in the window.
    #[inline(always)]
    pub(super) fn visible(&self, token: usize) -> Visible {
        let to = self.cache.len() - self.queries.count() + token + 1;
        Visible {
            from: to.saturating_sub(self.window),
            to,
        }
    }

    /// The query of a row of the head of keys `head`. Rows are the tokens' heads, token by token.
    #[inline(always)]
    pub(super) fn query(&self, head: usize, row: usize) -> &'a [f32] {
        let dim = self.cache.head_dim();
        let at = head * self.group + row % self.group;
        &self.queries.row(row / self.group)[at * dim..][..dim]
    }

    /// Where in the output a row of the head of keys `head` goes.
    #[inline(always)]
    pub(super) fn place(&self, head: usize, row: usize) -> usize {
        let dim = self.cache.head_dim();
        let at = head * self.group + row % self.group;
        row / self.group * self.queries.width() + at * dim
    }
}

/// Attention of the last tokens of `cache` to all tokens up to themselves.
///
/// `queries` has a row of `heads * head_dim` values for each of these tokens, and `out` gets as many;
/// the token of the last row is the cache's last. Consecutive heads of queries share a head of keys
/// and values where there are more of them. A score is `scale` times the inner product of query and
/// key. With a `window`, a token looks at that many tokens, itself among them.
///
/// A row that looks at nothing (a window of 0) gives zeros. NaN in a query or in a key that it looks
/// at gives NaN; NaN in a value may spread to earlier tokens of the same call.
///
/// # Errors
///
/// [`Error::PartialVector`] if `heads` is no multiple of the cache's heads; [`Error::Length`] if the
/// rows of `queries` or the length of `out` are not as said, or if there are more queries than the
/// cache has tokens. `out` is then as it was.
pub fn causal_attention(
    team: &Team,
    queries: Rows<'_>,
    cache: &KeyValueCache,
    heads: usize,
    scale: f32,
    window: Option<usize>,
    out: &mut [f32],
) -> Result<()> {
    causal_attention_on(
        Supported::active(),
        team,
        queries,
        cache,
        heads,
        scale,
        window,
        out,
    )
}

#[allow(clippy::too_many_arguments)]
pub(super) fn causal_attention_on(
    cpu: Supported,
    team: &Team,
    queries: Rows<'_>,
    cache: &KeyValueCache,
    heads: usize,
    scale: f32,
    window: Option<usize>,
    out: &mut [f32],
) -> Result<()> {
    let group = require_rows("heads", cache.kv_heads(), heads)?;
    let width = heads.saturating_mul(cache.head_dim());
    require_length("a row of queries", width, queries.width())?;
    require_length("out", queries.count().saturating_mul(width), out.len())?;
    if queries.count() > cache.len() {
        return Err(Error::Length {
            argument: "queries",
            expected: cache.len(),
            received: queries.count(),
        });
    }
    if out.is_empty() {
        return Ok(());
    }
    let job = Job {
        cpu,
        team,
        queries,
        cache,
        group,
        scale: scale * std::f32::consts::LOG2_E,
        window: window.unwrap_or(usize::MAX),
    };
    match queries.count() * group <= DECODE_ROWS {
        true => decode::decode(job, out),
        false => prefill::prefill(job, out),
    }
    Ok(())
}
