//! A task: some queries of a head against all positions of their text, span by span.

use std::ops::Range;

use crate::attention::weights::LOWEST;
use crate::isa::HasBf16;

use super::vectors::{State, join, products, store, weigh};
use super::{GROUP, LANES, SPAN, TASK};

/// Some queries of a head, and all its keys and values of their text.
pub(super) struct Part<'a> {
    pub(super) queries: &'a [u32],
    pub(super) keys: &'a [u32],
    pub(super) values: &'a [u32],
    pub(super) positions: usize,
    pub(super) dim: usize,
    pub(super) padded: usize,
}

/// A span's scores of a group, and the weights that they become, in pairs.
#[repr(C, align(64))]
struct Scores {
    scores: [[f32; SPAN]; GROUP],
    weights: [[u32; SPAN / 2]; GROUP],
}

impl Part<'_> {
    /// Rows, filled up to whole groups.
    fn rows(&self) -> usize {
        self.queries.len() / (self.padded / 2)
    }

    /// Values of the rows' outputs.
    pub(super) fn scratch(&self) -> usize {
        self.rows() * self.padded
    }

    /// Fills the rows of `outputs`.
    pub(super) fn attend(&self, _: HasBf16, outputs: &mut [f32]) {
        assert!(outputs.len() >= self.scratch() && self.rows() <= TASK);
        // SAFETY: the token exists only where the processor has these features.
        unsafe { self.inner(outputs) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    fn inner(&self, outputs: &mut [f32]) {
        let mut scores = Scores {
            scores: [[0.0; SPAN]; GROUP],
            weights: [[0; SPAN / 2]; GROUP],
        };
        let start = State {
            most: LOWEST,
            sum: 0.0,
        };
        let mut states = [start; TASK];
        outputs.fill(0.0);
        let group = GROUP * self.padded;
        for first in (0..self.positions).step_by(SPAN) {
            let span = first..self.positions.min(first + SPAN);
            let groups = outputs.chunks_exact_mut(group);
            let groups = groups.zip(states.chunks_exact_mut(GROUP));
            for (number, (outputs, states)) in groups.enumerate() {
                self.span(number, span.clone(), &mut scores, states, outputs);
            }
        }
        for (outputs, state) in outputs.chunks_exact_mut(self.padded).zip(states) {
            let share = 1.0 / state.sum;
            outputs.iter_mut().for_each(|value| *value *= share);
        }
    }

    /// A group of queries against a span of positions.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    fn span(
        &self,
        group: usize,
        span: Range<usize>,
        scores: &mut Scores,
        states: &mut [State],
        outputs: &mut [f32],
    ) {
        let blocks = span.len().div_ceil(LANES);
        self.score(group, span.start, blocks, scores);
        let mut shares = [0.0; GROUP];
        for r in 0..GROUP {
            let row = &mut scores.scores[r][..blocks * LANES];
            row[span.len()..].fill(LOWEST);
            shares[r] = weigh(row, &mut scores.weights[r], &mut states[r]);
        }
        self.sum(span.start, blocks, &scores.weights, &shares, outputs);
    }

    /// The scores of a group of queries with blocks of keys.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    fn score(&self, group: usize, first: usize, blocks: usize, scores: &mut Scores) {
        let pairs = self.padded / 2;
        let queries = self.queries[group * GROUP * pairs..][..GROUP * pairs].as_ptr();
        let queries = |pair: usize, r: usize| queries.wrapping_add(pair * GROUP + r);
        let size = pairs * LANES;
        let keys = &self.keys[first / LANES * size..][..blocks * size];
        let depth = self.dim.div_ceil(2);
        for block in (0..blocks - blocks % 2).step_by(2) {
            let start = keys[block * size..][..2 * size].as_ptr();
            // SAFETY: two blocks have `depth` pairs and more, and so have the queries.
            let sums = unsafe { products(queries, [start, start.add(size)], LANES, depth) };
            for (sums, scores) in sums.iter().zip(&mut scores.scores) {
                store(&mut scores[block * LANES..], *sums);
            }
        }
        if !blocks.is_multiple_of(2) {
            let block = blocks - 1;
            let start = keys[block * size..][..size].as_ptr();
            // SAFETY: as above, for one block.
            let sums = unsafe { products(queries, [start], LANES, depth) };
            for (sums, scores) in sums.iter().zip(&mut scores.scores) {
                store(&mut scores[block * LANES..], *sums);
            }
        }
    }

    /// Adds a span's weighted values to the outputs, of which `shares` are kept.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    fn sum(
        &self,
        first: usize,
        blocks: usize,
        weights: &[[u32; SPAN / 2]; GROUP],
        shares: &[f32; GROUP],
        outputs: &mut [f32],
    ) {
        let (padded, depth) = (self.padded, blocks * LANES / 2);
        let values = &self.values[first / 2 * padded..][..depth * padded];
        let weights = weights.as_flattened().as_ptr();
        let weights = |pair: usize, r: usize| weights.wrapping_add(r * (SPAN / 2) + pair);
        let vectors = padded / LANES;
        for vector in (0..vectors - vectors % 2).step_by(2) {
            let start = values[vector * LANES..].as_ptr();
            // SAFETY: the values are `depth` rows of whole vectors, of which these are two, and the
            // weights are at least as many pairs.
            let sums = unsafe { products(weights, [start, start.add(LANES)], padded, depth) };
            for (r, sums) in sums.iter().enumerate() {
                join(
                    &mut outputs[r * padded + vector * LANES..],
                    *sums,
                    shares[r],
                );
            }
        }
        if !vectors.is_multiple_of(2) {
            let vector = vectors - 1;
            let start = values[vector * LANES..].as_ptr();
            // SAFETY: as above, for one vector.
            let sums = unsafe { products(weights, [start], padded, depth) };
            for (r, sums) in sums.iter().enumerate() {
                join(
                    &mut outputs[r * padded + vector * LANES..],
                    *sums,
                    shares[r],
                );
            }
        }
    }
}
