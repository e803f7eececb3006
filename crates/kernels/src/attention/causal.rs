//! Causal attention over caches: the entry, which checks and then hands the work of all sequences out
//! in one region of the team.

use crate::disjoint::Disjoint;
use crate::isa::Supported;
use crate::shape::{require_length, require_rows};
use crate::{CacheStep, Error, KeyValueCache, Result, Rows, Team};

use super::plan::Plan;
use super::pool::CacheShape;
use super::scratch::with_call_scratch;
use super::tile::Visible;

/// With fewer multiplications than this the caller works alone: waking others takes longer.
const SHARED_WORK: usize = 1 << 16;

/// Attention of one layer of a model.
#[derive(Debug, Clone, Copy)]
pub struct CausalAttention {
    /// The layer, whose keys and values are looked at.
    pub layer: usize,
    /// Heads of queries; consecutive ones share a head of keys and values where there are more.
    pub heads: usize,
    /// A score is so much times the inner product of query and key.
    pub scale: f32,
    /// Tokens that a token looks at, itself among them; all before it without a window.
    pub window: Option<usize>,
}

/// A text's part in a call.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    /// Its cache, in a step that has filled the layer.
    pub step: &'a CacheStep<'a>,
    /// How many of its last tokens have queries.
    pub tokens: usize,
}

/// What the computation of a sequence needs to know.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) cpu: Supported,
    pub(super) queries: Rows<'a>,
    /// The row of the output that the first query's result goes to.
    first_row: usize,
    pub(super) cache: &'a KeyValueCache,
    pub(super) shape: CacheShape,
    pub(super) layer: usize,
    /// Positions of the cache, those of the step among them.
    pub(super) len: usize,
    /// Heads of queries that share one head of keys.
    pub(super) group: usize,
    /// What a score is multiplied by, in powers of two: the caller's scale times log2(e).
    pub(super) scale: f32,
    window: usize,
}

impl<'a> Job<'a> {
    /// Checks a sequence whose queries begin with row `first_row`.
    fn new(
        cpu: Supported,
        attention: CausalAttention,
        queries: Rows<'a>,
        first_row: usize,
        sequence: Sequence<'a>,
    ) -> Result<Self> {
        let (step, tokens) = (sequence.step, sequence.tokens);
        let cache = step.cache();
        let shape = cache.pool().shape();
        let group = require_rows("heads", shape.kv_heads, attention.heads)?;
        let width = attention.heads.saturating_mul(shape.head_dim);
        require_length("a row of queries", width, queries.width())?;
        if tokens > step.end() {
            return Err(Error::Length {
                argument: "queries",
                expected: step.end(),
                received: tokens,
            });
        }
        step.require_layer(attention.layer)?;
        Ok(Self {
            cpu,
            queries: queries.part(first_row, tokens)?,
            first_row,
            cache,
            shape,
            layer: attention.layer,
            len: step.end(),
            group,
            scale: attention.scale * std::f32::consts::LOG2_E,
            window: attention.window.unwrap_or(usize::MAX),
        })
    }

    /// The positions that the query `token` looks at: its own, and those before it in the window.
    #[inline(always)]
    pub(super) fn visible(&self, token: usize) -> Visible {
        let to = self.len - self.queries.count() + token + 1;
        Visible {
            from: to.saturating_sub(self.window),
            to,
        }
    }

    /// The query of a row of the head of keys `head`. Rows are the tokens' heads, token by token.
    #[inline(always)]
    pub(super) fn query(&self, head: usize, row: usize) -> &'a [f32] {
        let dim = self.shape.head_dim;
        let at = head * self.group + row % self.group;
        &self.queries.row(row / self.group)[at * dim..][..dim]
    }

    /// Where in the output a row of the head of keys `head` goes.
    #[inline(always)]
    pub(super) fn place(&self, head: usize, row: usize) -> usize {
        let at = head * self.group + row % self.group;
        let row = self.first_row + row / self.group;
        row * self.queries.width() + at * self.shape.head_dim
    }

    /// Multiplications of a value of each query with all positions, at most.
    fn work(&self) -> usize {
        let queries = self.queries.count() * self.queries.width();
        self.len.saturating_mul(queries)
    }
}

/// Attention of the last tokens of some texts, each to all tokens of its text up to itself.
///
/// `queries` has a row of `heads * head_dim` values for each of these tokens, sequence by sequence,
/// and `out` gets as many; the last row of a sequence is its last token's.
///
/// A row's result has the same bits whatever else is in the call and however its text was cut into
/// steps. A row that looks at nothing (a window of 0) gives zeros. NaN in a query or in a key that it
/// looks at gives NaN; NaN in a value may spread to earlier tokens of the same sequence and call.
///
/// # Errors
///
/// [`Error::PartialVector`] if `heads` is no multiple of a cache's heads; [`Error::Length`] if the
/// rows of `queries` or the length of `out` are not as said, or if a sequence has more queries than
/// tokens; [`Error::OutOfRange`] if a step has not filled the layer. `out` is then as it was.
pub fn causal_attention(
    team: &Team,
    attention: CausalAttention,
    queries: Rows<'_>,
    sequences: &[Sequence<'_>],
    out: &mut [f32],
) -> Result<()> {
    let cpu = Supported::active();
    causal_attention_on(cpu, team, attention, queries, sequences, out)
}

pub(super) fn causal_attention_on(
    cpu: Supported,
    team: &Team,
    attention: CausalAttention,
    queries: Rows<'_>,
    sequences: &[Sequence<'_>],
    out: &mut [f32],
) -> Result<()> {
    let values = queries.count().saturating_mul(queries.width());
    require_length("out", values, out.len())?;
    let mut jobs = Vec::with_capacity(sequences.len());
    let mut first_row = 0;
    for sequence in sequences {
        jobs.push(Job::new(cpu, attention, queries, first_row, *sequence)?);
        first_row += sequence.tokens;
    }
    require_length("queries", first_row, queries.count())?;
    if out.is_empty() {
        return Ok(());
    }
    let work = jobs.iter().map(Job::work);
    let work = work.fold(0, usize::saturating_add);
    let plan = Plan::new(&jobs, team.threads());
    with_call_scratch(plan.partials(), |partials| {
        let (partials, out) = (Disjoint::new(partials), Disjoint::new(out));
        let task = |_| plan.run_next(&partials, &out);
        match work < SHARED_WORK {
            true => (0..plan.tasks()).for_each(task),
            false => team.run(plan.tasks(), task),
        }
    });
    Ok(())
}
