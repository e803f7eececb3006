//! Causal attention of many tokens: a task is a head of keys and a tile of queries.
//!
//! All heads of queries that share the head of keys are in the tile, so each block of the cache is
//! widened to f32 once for all of them.

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::simd::{Kernel, Simd};

use super::cache::{BLOCK, PAGE};
use super::causal::Job;
use super::scratch::with_scratch;
use super::tile::{SPAN, Shape, Source, Tile};

/// Rows of a tile, or a few less, where there are tasks enough: all of them share a widened block.
const LARGE_TILE: usize = 192;
/// The same where there are few tokens and heads.
const SMALL_TILE: usize = 48;
/// Tasks a thread that are enough.
const TASKS_A_THREAD: usize = 4;

/// Computes all rows; `out` is as long as the job asks for.
pub(super) fn prefill(job: Job<'_>, out: &mut [f32]) {
    let tokens = job.queries.count();
    let large = tokens * job.group * job.cache.kv_heads() / LARGE_TILE;
    let rows = match large < TASKS_A_THREAD * job.team.threads() {
        true => SMALL_TILE,
        false => LARGE_TILE,
    };
    let tile = (rows / job.group).max(1);
    let tiles = tokens.div_ceil(tile);
    let heads = job.cache.kv_heads();
    let out = Disjoint::new(out);
    job.team.run(tiles * heads, |task| {
        // The last tokens look at the most: they go first, so that no thread is left with them.
        let number = tiles - 1 - task / heads;
        let first = number * tile;
        let tokens = first..tokens.min(first + tile);
        let shape = Shape {
            rows: tokens.len() * job.group,
            dim: job.cache.head_dim(),
        };
        with_scratch(shape.scratch(), |scratch| {
            job.cpu.run(PrefillTile {
                job: &job,
                head: task % heads,
                tokens,
                tile: Tile::new(shape, scratch),
                out: &out,
            });
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
            tile.finish(simd, row, unsafe { out.part(at, job.cache.head_dim()) });
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
        let cache = self.job.cache;
        let (page, position) = (first / PAGE, first % PAGE);
        let (dim, stride) = (cache.head_dim(), cache.value_stride());
        let blocks = &cache.keys(page, self.head)[position * dim..];
        let blocks = blocks.chunks_exact(BLOCK * dim).take(count.div_ceil(BLOCK));
        for (number, block) in blocks.enumerate() {
            for (component, lanes) in block.chunks_exact(BLOCK).enumerate() {
                let place = component * SPAN + number * BLOCK;
                widen(simd, lanes, &mut keys[place..place + BLOCK]);
            }
        }
        let rows = &cache.values(page, self.head)[position * stride..][..count * stride];
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
