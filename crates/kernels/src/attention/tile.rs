//! Many rows of queries against many positions, block by block: the machinery of prefill and of
//! encoders.
//!
//! A block, which is a page where there are pages, of keys and values is brought into f32 panels that stay in the first-level cache, and all
//! rows of the tile pass over it, a group of rows at a time: scores, weights, sums. What rows may
//! look at is a span of positions each; blocks and columns that no row of a group looks at are not
//! computed.

use crate::simd::{MOST_LANES, Simd};

use super::pool::PAGE_TOKENS;
use super::product::{GROUP, Left, Panel, Target, Wide, product};
use super::weights::{LOWEST, weigh};

/// Positions of a block: those of a page, as sums are joined page by page.
pub(super) const SPAN: usize = PAGE_TOKENS;

/// Positions `from .. to` that a row looks at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Visible {
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Visible {
    /// The part of it that lies in `length` positions from `start` on, counted from there.
    #[inline(always)]
    pub(super) fn within(self, start: usize, length: usize) -> Visible {
        Visible {
            from: self.from.saturating_sub(start).min(length),
            to: self.to.saturating_sub(start).min(length),
        }
    }
}

/// Where the keys and values come from.
pub(super) trait Source {
    /// Brings the positions `first .. first + count`, which lie in one block, into panels: `keys` by
    /// component, `SPAN` values from one to the next; `values` by position, `value_stride` values
    /// from one to the next. What else is in the panels does not matter.
    fn block<S: Simd>(
        &self,
        simd: S,
        first: usize,
        count: usize,
        keys: &mut [f32],
        values: &mut [f32],
    );
}

/// The sizes of a tile, which has at least one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Rows of queries.
    pub(super) rows: usize,
    /// Values of a head.
    pub(super) dim: usize,
}

impl Shape {
    /// Rows, filled up to whole groups.
    fn padded_rows(self) -> usize {
        self.rows.next_multiple_of(GROUP)
    }

    /// A head's values, filled up to whole vectors.
    pub(super) fn value_stride(self) -> usize {
        self.dim.next_multiple_of(MOST_LANES)
    }

    /// The scratch that a tile takes.
    pub(super) fn scratch(self) -> usize {
        let a_row = self.dim + self.value_stride() + 1 + MOST_LANES;
        self.padded_rows() * a_row + SPAN * (self.dim + self.value_stride()) + GROUP * SPAN
    }
}

/// A tile's buffers.
pub(super) struct Tile<'a> {
    shape: Shape,
    /// Queries, scaled; row after row.
    queries: &'a mut [f32],
    /// Weighted sums of values, relative to `most`; rows of `value_stride`.
    outputs: &'a mut [f32],
    /// The greatest score of each row.
    most: &'a mut [f32],
    /// The sum of weights of each row, spread over `MOST_LANES` lanes.
    sums: &'a mut [f32],
    keys: &'a mut [f32],
    values: &'a mut [f32],
    scores: &'a mut [f32],
}

impl<'a> Tile<'a> {
    /// Cuts up scratch of the length that the shape asks for.
    pub(super) fn new(shape: Shape, scratch: &'a mut [f32]) -> Self {
        let rows = shape.padded_rows();
        // Those that vectors are loaded from come first: their lengths are whole lines.
        let (keys, scratch) = scratch.split_at_mut(SPAN * shape.dim);
        let (values, scratch) = scratch.split_at_mut(SPAN * shape.value_stride());
        let (scores, scratch) = scratch.split_at_mut(GROUP * SPAN);
        let (outputs, scratch) = scratch.split_at_mut(rows * shape.value_stride());
        let (sums, scratch) = scratch.split_at_mut(rows * MOST_LANES);
        let (most, queries) = scratch.split_at_mut(rows);
        queries[shape.rows * shape.dim..].fill(0.0);
        outputs.fill(0.0);
        most.fill(LOWEST);
        sums.fill(0.0);
        Self {
            shape,
            queries,
            outputs,
            most,
            sums,
            keys,
            values,
            scores,
        }
    }

    /// Sets a row's query: `query * scale`.
    #[inline(always)]
    pub(super) fn set_query(&mut self, row: usize, query: &[f32], scale: f32) {
        let place = &mut self.queries[row * self.shape.dim..][..self.shape.dim];
        for (place, value) in place.iter_mut().zip(query) {
            *place = value * scale;
        }
    }

    /// Passes over all positions that rows look at; `visible` says what each row looks at. Spans
    /// begin and end in the order of the rows.
    #[inline(always)]
    pub(super) fn attend<S: Simd>(
        &mut self,
        simd: S,
        source: &impl Source,
        visible: impl Fn(usize) -> Visible,
    ) {
        let (first, last) = (visible(0), visible(self.shape.rows - 1));
        for start in (first.from / SPAN * SPAN..last.to).step_by(SPAN) {
            let count = SPAN.min(last.to - start);
            source.block(simd, start, count, self.keys, self.values);
            // Most blocks are seen whole by all rows, and then need no further look at each.
            let whole = last.from <= start && first.to >= start + count;
            for row in (0..self.shape.rows).step_by(GROUP) {
                let visible = match whole {
                    true => [Visible { from: 0, to: count }; GROUP],
                    false => self.spans(row, start, count, &visible),
                };
                self.attend_group(simd, row, visible);
            }
        }
    }

    /// What the rows from `row` on look at in a block; rows beyond the last look at nothing.
    #[inline(always)]
    fn spans(
        &self,
        row: usize,
        start: usize,
        count: usize,
        visible: &impl Fn(usize) -> Visible,
    ) -> [Visible; GROUP] {
        let mut spans = [Visible::default(); GROUP];
        for (row, span) in (row..self.shape.rows).zip(&mut spans) {
            *span = visible(row).within(start, count);
        }
        spans
    }

    /// The rows from `row` on against the block in the panels.
    #[inline(always)]
    fn attend_group<S: Simd>(&mut self, simd: S, row: usize, visible: [Visible; GROUP]) {
        let (dim, stride) = (self.shape.dim, self.shape.value_stride());
        let keys = Wide {
            start: self.keys.as_ptr(),
            stride: SPAN,
        };
        let values = Wide {
            start: self.values.as_ptr(),
            stride,
        };
        let rows = Group {
            queries: &self.queries[row * dim..][..GROUP * dim],
            outputs: &mut self.outputs[row * stride..][..GROUP * stride],
            most: &mut self.most[row..][..GROUP],
            sums: &mut self.sums[row * MOST_LANES..][..GROUP * MOST_LANES],
            scores: &mut self.scores[..GROUP * SPAN],
        };
        // SAFETY: `visible` ends at SPAN at the latest; the panel of keys has SPAN columns in `dim`
        // rows, that of values SPAN rows of `stride` columns; and the slices are as long as asked.
        unsafe { attend_rows::<S, _, _, GROUP>(simd, rows, keys, values, visible) };
    }

    /// Writes a row's result: its sum of values over its sum of weights, or 0 if it looked at nothing.
    #[inline(always)]
    pub(super) fn finish<S: Simd>(&self, simd: S, row: usize, out: &mut [f32]) {
        let sums = &self.sums[row * MOST_LANES..][..MOST_LANES];
        let outputs = &self.outputs[row * self.shape.value_stride()..];
        write_result(simd, sums, outputs, out);
    }
}

/// Writes a row's result from its lanes of sums of weights and its sums of values, of which there
/// are as many as `out` has places, or more.
#[inline(always)]
pub(super) fn write_result<S: Simd>(simd: S, sums: &[f32], outputs: &[f32], out: &mut [f32]) {
    let sum = simd.sum(simd.load_first(&sums[..S::LANES]));
    let share = match sum == 0.0 {
        true => 0.0,
        false => 1.0 / sum,
    };
    for (place, value) in out.iter_mut().zip(outputs) {
        // A sum of nothing but zeros may have either sign, by what lies beside it: 0 makes it plus.
        *place = value * share + 0.0;
    }
}

/// The state of a few rows: of `R` rows, `queries` has rows of `dim` values, `outputs` of whole
/// vectors, `most` of 1, `sums` of `MOST_LANES`, and `scores` of as many as a block has positions.
pub(super) struct Group<'a> {
    pub(super) queries: &'a [f32],
    pub(super) outputs: &'a mut [f32],
    pub(super) most: &'a mut [f32],
    pub(super) sums: &'a mut [f32],
    pub(super) scores: &'a mut [f32],
}

/// `R` rows against one block: scores, weights, sums. The block is summed up by itself and then joins
/// the rows' state.
///
/// # Safety
///
/// Each slice of `group` is `R` rows, with `outputs` and `scores` in rows that are multiples of
/// `MOST_LANES`. `keys` has as many rows as a query has values, of as many columns as a row of
/// `scores` has. `values` has that many rows, of as many columns as a row of `outputs` has. No
/// `visible` ends beyond a row of `scores`.
#[inline(always)]
pub(super) unsafe fn attend_rows<S: Simd, K: Panel, V: Panel, const R: usize>(
    simd: S,
    group: Group<'_>,
    keys: K,
    values: V,
    visible: [Visible; R],
) {
    let seen = visible.iter().filter(|visible| visible.from < visible.to);
    let Some(end) = seen.map(|visible| visible.to).max() else {
        return;
    };
    let (dim, length) = (group.queries.len() / R, group.scores.len() / R);
    let queries = Left {
        start: group.queries.as_ptr(),
        stride: dim,
        depth: dim,
    };
    let scores = Target {
        start: group.scores.as_mut_ptr(),
        stride: length,
        width: end.next_multiple_of(S::LANES),
    };
    // SAFETY: `end` is at most the length of a row of scores, a multiple of LANES, so the width is
    // too; the rest is the caller's promise.
    unsafe { product::<S, K, R>(simd, queries, keys, scores, None) };
    for (row, visible) in group.scores.chunks_exact_mut(length).zip(visible) {
        hide(&mut row[..scores.width], visible);
    }
    let shares = weigh(
        simd,
        group.scores,
        length,
        scores.width,
        group.most,
        group.sums,
    );
    let weights = Left {
        start: group.scores.as_ptr(),
        stride: length,
        depth: end,
    };
    let width = group.outputs.len() / R;
    let outputs = Target {
        start: group.outputs.as_mut_ptr(),
        stride: width,
        width,
    };
    // SAFETY: the weights are rows of `length >= end` values; the rest is the caller's promise.
    unsafe { product::<S, V, R>(simd, weights, values, outputs, Some(shares)) };
}

/// Makes the scores that a row does not look at -inf, so that they get no weight.
#[inline(always)]
fn hide(scores: &mut [f32], visible: Visible) {
    let from = visible.from.min(scores.len());
    let to = visible.to.clamp(from, scores.len());
    scores[..from].fill(f32::NEG_INFINITY);
    scores[to..].fill(f32::NEG_INFINITY);
}
