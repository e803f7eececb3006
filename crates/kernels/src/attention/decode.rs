//! Causal attention of a few tokens: a task is a head of keys and a page of positions.
//!
//! Reading the cache is the work, so each vector of it is widened in a register and used for all rows
//! at once. Each task leaves its rows' greatest score, sum of weights and weighted values; the caller
//! merges them page by page, always in that order, so that no result depends on who computed what.

use crate::disjoint::Disjoint;
use crate::simd::{Kernel, MOST_LANES, Simd};

use super::cache::PAGE;
use super::causal::Job;
use super::product::{Blocks, GROUP, Halves};
use super::scratch::{LINE, with_scratch};
use super::tile::{Group, Visible, attend_rows, share_of};
use super::weights::{LOWEST, exp2};

/// With fewer multiplications than this the caller works alone: waking others takes longer.
const SHARED_WORK: usize = 1 << 16;

/// The sizes of a call.
#[derive(Clone, Copy)]
struct Sizes {
    /// Rows of a head of keys.
    rows: usize,
    dim: usize,
    /// Values of a head, filled up to whole vectors.
    stride: usize,
    /// The first page that any row looks at, and how many there are from there on.
    first_page: usize,
    pages: usize,
    heads: usize,
}

impl Sizes {
    fn of(job: &Job<'_>) -> Self {
        let first_page = job.visible(0).from / PAGE;
        Self {
            rows: job.queries.count() * job.group,
            dim: job.cache.head_dim(),
            stride: job.cache.value_stride(),
            first_page,
            pages: job.cache.len().div_ceil(PAGE) - first_page,
            heads: job.cache.kv_heads(),
        }
    }

    /// What a task leaves: weighted values, greatest scores and sums of its rows, in whole lines.
    fn partial(self) -> usize {
        (self.rows * (self.stride + MOST_LANES + 1)).next_multiple_of(LINE)
    }

    /// The scaled queries of a head of keys.
    fn queries(self) -> usize {
        self.rows * self.dim
    }
}

/// Computes all rows; `out` is as long as the job asks for.
pub(super) fn decode(job: Job<'_>, out: &mut [f32]) {
    let sizes = Sizes::of(&job);
    let tasks = sizes.heads * sizes.pages;
    let length = sizes.heads * sizes.queries() + tasks * sizes.partial();
    with_scratch(length, |scratch| {
        let (partials, queries) = scratch.split_at_mut(tasks * sizes.partial());
        scale_queries(&job, sizes, queries);
        let queries: &[f32] = queries;
        let shared = Disjoint::new(partials);
        let task = |task: usize| {
            let head = task / sizes.pages;
            job.cpu.run(PageTask {
                job: &job,
                sizes,
                head,
                page: sizes.first_page + task % sizes.pages,
                queries: &queries[head * sizes.queries()..][..sizes.queries()],
                // SAFETY: a task's own part, and each task runs once.
                partial: unsafe { shared.part(task * sizes.partial(), sizes.partial()) },
            });
        };
        match job.cache.len() * sizes.queries() * sizes.heads < SHARED_WORK {
            true => (0..tasks).for_each(task),
            false => job.team.run(tasks, task),
        }
        job.cpu.run(Merge {
            job: &job,
            sizes,
            partials,
            out,
        });
    });
}

fn scale_queries(job: &Job<'_>, sizes: Sizes, queries: &mut [f32]) {
    for (index, place) in queries.chunks_exact_mut(sizes.dim).enumerate() {
        let query = job.query(index / sizes.rows, index % sizes.rows);
        for (place, value) in place.iter_mut().zip(query) {
            *place = value * job.scale;
        }
    }
}

/// A group's scores for one page, from a cache line on.
#[repr(align(64))]
struct Scores<const R: usize>([[f32; PAGE]; R]);

/// A head's rows against one page.
struct PageTask<'a> {
    job: &'a Job<'a>,
    sizes: Sizes,
    head: usize,
    page: usize,
    queries: &'a [f32],
    partial: &'a mut [f32],
}

impl Kernel for PageTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.start();
        for row in (0..self.sizes.rows).step_by(GROUP) {
            match self.sizes.rows - row {
                1 => self.attend::<S, 1>(simd, row),
                2 => self.attend::<S, 2>(simd, row),
                3 => self.attend::<S, 3>(simd, row),
                4 => self.attend::<S, 4>(simd, row),
                5 => self.attend::<S, 5>(simd, row),
                _ => self.attend::<S, GROUP>(simd, row),
            }
        }
    }
}

impl PageTask<'_> {
    /// Rows that have seen nothing yet.
    fn start(&mut self) {
        self.partial.fill(0.0);
        let most = self.sizes.rows * (self.sizes.stride + MOST_LANES);
        self.partial[most..].fill(LOWEST);
    }

    /// `R` rows from `row` on.
    #[inline(always)]
    fn attend<S: Simd, const R: usize>(&mut self, simd: S, row: usize) {
        let Sizes {
            rows, dim, stride, ..
        } = self.sizes;
        let mut scores = Scores([[0.0; PAGE]; R]);
        let start = self.page * PAGE;
        let visible: [Visible; R] = std::array::from_fn(|r| {
            let seen = self.job.visible((row + r) / self.job.group);
            seen.within(start, PAGE)
        });
        let (outputs, rest) = self.partial.split_at_mut(rows * stride);
        let (sums, most) = rest.split_at_mut(rows * MOST_LANES);
        let group = Group {
            queries: &self.queries[row * dim..][..R * dim],
            outputs: &mut outputs[row * stride..][..R * stride],
            most: &mut most[row..][..R],
            sums: &mut sums[row * MOST_LANES..][..R * MOST_LANES],
            scores: scores.0.as_flattened_mut(),
        };
        let keys = Blocks {
            start: self.job.cache.keys(self.page, self.head).as_ptr(),
            rows: dim,
        };
        let values = Halves {
            start: self.job.cache.values(self.page, self.head).as_ptr(),
            stride,
        };
        // SAFETY: a page has PAGE positions of `dim` components of keys, and as many rows of `stride`
        // values; `visible` was cut to it; and the slices are as long as asked.
        unsafe { attend_rows::<S, _, _, R>(simd, group, keys, values, visible) };
    }
}

/// Brings the pages' parts together.
struct Merge<'a> {
    job: &'a Job<'a>,
    sizes: Sizes,
    partials: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        for head in 0..self.sizes.heads {
            for row in 0..self.sizes.rows {
                self.row(simd, head, row);
            }
        }
    }
}

impl Merge<'_> {
    /// One row: all its pages relative to its greatest score, `LANES` pages' factors at a time.
    #[inline(always)]
    fn row<S: Simd>(&mut self, simd: S, head: usize, row: usize) {
        let Sizes { dim, pages, .. } = self.sizes;
        let most = (0..pages).map(|page| self.part(head, page, row).1);
        // In this order a NaN would be passed over, but greatest scores are never NaN.
        let greatest = most.fold(LOWEST, f32::max);
        let at = self.job.place(head, row);
        let mut total = 0.0;
        self.out[at..at + dim].fill(0.0);
        for first in (0..pages).step_by(S::LANES) {
            let count = S::LANES.min(pages - first);
            let mut factors = [0.0; MOST_LANES];
            for (page, factor) in factors[..count].iter_mut().enumerate() {
                *factor = self.part(head, first + page, row).1 - greatest;
            }
            let powers = exp2(simd, simd.load_first(&factors));
            simd.store_first(&mut factors, powers);
            for (page, factor) in factors[..count].iter().enumerate() {
                let start = (head * pages + first + page) * self.sizes.partial();
                let partial = &self.partials[start..][..self.sizes.partial()];
                let (outputs, _, sums) = split(self.sizes, partial, row);
                total += factor * simd.sum(simd.load_first(sums));
                for (out, value) in self.out[at..at + dim].iter_mut().zip(outputs) {
                    *out += factor * value;
                }
            }
        }
        let share = share_of(total);
        self.out[at..at + dim].iter_mut().for_each(|x| *x *= share);
    }

    /// A row's weighted values, greatest score and sums in a page's part.
    #[inline(always)]
    fn part(&self, head: usize, page: usize, row: usize) -> (&[f32], f32, &[f32]) {
        let start = (head * self.sizes.pages + page) * self.sizes.partial();
        split(
            self.sizes,
            &self.partials[start..][..self.sizes.partial()],
            row,
        )
    }
}

/// A row's weighted values, greatest score and lanes of sums.
#[inline(always)]
fn split(sizes: Sizes, partial: &[f32], row: usize) -> (&[f32], f32, &[f32]) {
    let (outputs, rest) = partial.split_at(sizes.rows * sizes.stride);
    let (sums, most) = rest.split_at(sizes.rows * MOST_LANES);
    (
        &outputs[row * sizes.stride..][..sizes.dim],
        most[row],
        &sums[row * MOST_LANES..][..MOST_LANES],
    )
}
