//! Causal attention of many tokens: a task is a head of keys and a tile of queries.
//!
//! All heads of queries that share the head of keys are in the tile, so each page of the cache is
//! widened to f32 once for all of them.

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::simd::{Kernel, Simd};

use super::causal::Job;
use super::pool::{BLOCK, PAGE_TOKENS};
use super::scratch::with_scratch;
use super::tile::{SPAN, Shape, Source, Tile};

/// Computes the rows of a head of keys and some tokens.
pub(super) fn prefill(job: &Job<'_>, head: usize, tokens: Range<usize>, out: &Disjoint<'_, f32>) {
    let shape = Shape {
        rows: tokens.len() * job.group,
        dim: job.shape.head_dim,
    };
    with_scratch(shape.scratch(), |scratch| {
        job.cpu.run(PrefillTile {
            job,
            head,
            tokens,
            tile: Tile::new(shape, scratch),
            out,
        });
    });
}

struct PrefillTile<'a> {
    job: &'a Job<'a>,
    head: usize,
    tokens: Range<usize>,
    tile: Tile<'a>,
    out: &'a Disjoint<'a, f32>,
}

impl Kernel for PrefillTile<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            job,
            head,
            tokens,
            mut tile,
            out,
        } = self;
        let (before, rows) = (tokens.start * job.group, tokens.len() * job.group);
        for row in 0..rows {
            tile.set_query(row, job.query(head, before + row), job.scale);
        }
        let source = CachedHead { job, head };
        tile.attend(simd, &source, |row| {
            job.visible(tokens.start + row / job.group)
        });
        for row in 0..rows {
            let at = job.place(head, before + row);
            // SAFETY: each row of each head of keys has its own place, and is in one task.
            tile.finish(simd, row, unsafe { out.part(at, job.shape.head_dim) });
        }
    }
}

/// A head of the cache.
struct CachedHead<'a> {
    job: &'a Job<'a>,
    head: usize,
}

impl Source for CachedHead<'_> {
    #[inline(always)]
    fn block<S: Simd>(
        &self,
        simd: S,
        first: usize,
        count: usize,
        keys: &mut [f32],
        values: &mut [f32],
    ) {
        let Job {
            cache,
            layer,
            shape,
            ..
        } = *self.job;
        let page = first / PAGE_TOKENS;
        let (dim, stride) = (shape.head_dim, shape.value_stride());
        let blocks = cache.keys(page, layer, self.head).chunks_exact(BLOCK * dim);
        for (number, block) in blocks.take(count.div_ceil(BLOCK)).enumerate() {
            for (component, lanes) in block.chunks_exact(BLOCK).enumerate() {
                let place = component * SPAN + number * BLOCK;
                widen(simd, lanes, &mut keys[place..place + BLOCK]);
            }
        }
        let rows = &cache.values(page, layer, self.head)[..count * stride];
        widen(simd, rows, &mut values[..count * stride]);
    }
}

/// Widens halves; both slices have the same number of whole vectors.
#[inline(always)]
fn widen<S: Simd>(simd: S, from: &[u16], to: &mut [f32]) {
    let from = from.chunks_exact(S::LANES);
    for (from, to) in from.zip(to.chunks_exact_mut(S::LANES)) {
        // SAFETY: both chunks have LANES values.
        unsafe { simd.store(to.as_mut_ptr(), simd.load_f16(from.as_ptr())) };
    }
}
