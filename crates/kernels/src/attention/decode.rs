//! Causal attention of a few tokens: a task is a head of keys and some pages of positions.
//!
//! Reading the cache is the work, so each vector of it is widened in a register and used for all rows
//! at once. Each page leaves its rows' greatest score, sum of weights and weighted values; whoever
//! does the last task of a head joins them page by page, always in that order, so that no result
//! depends on who computed what.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::disjoint::Disjoint;
use crate::simd::{Kernel, MOST_LANES, Simd};

use super::causal::Job;
use super::join::Join;
use super::pool::PAGE_TOKENS;
use super::product::{Blocks, GROUP, Halves};
use super::scratch::{LINE, with_scratch};
use super::tile::{Group, Visible, attend_rows};
use super::weights::LOWEST;

/// A sequence of a few tokens.
pub(super) struct Decoding<'a> {
    job: Job<'a>,
    sizes: Sizes,
    /// The pages that any row looks at; at least one.
    pages: Range<usize>,
    /// Where what its tasks leave begins in the call's scratch.
    start: usize,
    /// Tasks of each head that are not done.
    tasks_left: Vec<AtomicUsize>,
}

/// The sizes of what a page leaves.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Rows of a head of keys.
    pub(super) rows: usize,
    pub(super) dim: usize,
    /// Values of a head, filled up to whole vectors.
    pub(super) stride: usize,
}

impl Sizes {
    /// Weighted values, sums and greatest scores of all rows, in whole lines.
    pub(super) fn partial(self) -> usize {
        (self.rows * (self.stride + MOST_LANES + 1)).next_multiple_of(LINE)
    }

    /// Cuts what a page leaves into weighted values, lanes of sums, and greatest scores.
    #[inline(always)]
    pub(super) fn split(self, partial: &mut [f32]) -> [&mut [f32]; 3] {
        let (outputs, rest) = partial.split_at_mut(self.rows * self.stride);
        let (sums, most) = rest.split_at_mut(self.rows * MOST_LANES);
        [outputs, sums, most]
    }
}

impl<'a> Decoding<'a> {
    /// A sequence, which has queries; its tasks leave their parts from `start` of the scratch on.
    pub(super) fn new(job: Job<'a>, start: usize) -> Self {
        let end = job.len.div_ceil(PAGE_TOKENS);
        let first = (job.visible(0).from / PAGE_TOKENS).min(end - 1);
        let heads = std::iter::repeat_with(AtomicUsize::default);
        Self {
            sizes: Sizes {
                rows: job.queries.count() * job.group,
                dim: job.shape.head_dim,
                stride: job.shape.value_stride(),
            },
            pages: first..end,
            start,
            tasks_left: heads.take(job.shape.kv_heads).collect(),
            job,
        }
    }

    /// Rows of a head of keys.
    pub(super) fn rows(&self) -> usize {
        self.sizes.rows
    }

    /// Heads of keys.
    pub(super) fn heads(&self) -> usize {
        self.job.shape.kv_heads
    }

    /// The pages that have to be looked at.
    pub(super) fn pages(&self) -> Range<usize> {
        self.pages.clone()
    }

    /// The part of the call's scratch that the tasks use.
    pub(super) fn partials(&self) -> Range<usize> {
        self.start..self.start + self.heads() * self.head_length()
    }

    /// Counts one more task of a head.
    pub(super) fn expect_task(&mut self, head: usize) {
        *self.tasks_left[head].get_mut() += 1;
    }

    /// Does a task: some pages of a head. The last one of a head writes its results.
    pub(super) fn run(
        &self,
        head: usize,
        pages: Range<usize>,
        partials: &Disjoint<'_, f32>,
        out: &Disjoint<'_, f32>,
    ) {
        with_scratch(self.sizes.rows * self.sizes.dim, |queries| {
            let length = self.sizes.partial();
            let at = self.head_start(head) + (pages.start - self.pages.start) * length;
            self.job.cpu.run(Pages {
                decoding: self,
                head,
                // SAFETY: a page of a head has its own part, and is in one task.
                partials: unsafe { partials.part(at, pages.len() * length) },
                pages,
                queries,
            });
        });
        if self.tasks_left[head].fetch_sub(1, Ordering::AcqRel) == 1 {
            let (at, length) = (self.head_start(head), self.head_length());
            self.job.cpu.run(Join {
                job: &self.job,
                sizes: self.sizes,
                head,
                // SAFETY: all tasks of this head are done, and nobody else uses the head's parts;
                // what they wrote is seen here, as they counted down afterwards.
                partials: unsafe { partials.part(at, length) },
                out,
            });
        }
    }

    fn head_start(&self, head: usize) -> usize {
        self.start + head * self.head_length()
    }

    fn head_length(&self) -> usize {
        self.pages.len() * self.sizes.partial()
    }
}

/// A group's scores for one page, from a cache line on.
#[repr(align(64))]
struct Scores<const R: usize>([[f32; PAGE_TOKENS]; R]);

/// A head's rows against some pages.
struct Pages<'a> {
    decoding: &'a Decoding<'a>,
    head: usize,
    pages: Range<usize>,
    partials: &'a mut [f32],
    /// Room for the scaled queries.
    queries: &'a mut [f32],
}

impl Kernel for Pages<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            decoding,
            head,
            pages,
            partials,
            queries,
        } = self;
        scale_queries(&decoding.job, head, queries);
        let partials = partials.chunks_exact_mut(decoding.sizes.partial());
        for (page, partial) in pages.zip(partials) {
            let mut page = Page {
                job: &decoding.job,
                sizes: decoding.sizes,
                head,
                page,
                queries,
                partial,
            };
            page.attend_all(simd);
        }
    }
}

#[inline(always)]
fn scale_queries(job: &Job<'_>, head: usize, queries: &mut [f32]) {
    for (row, place) in queries.chunks_exact_mut(job.shape.head_dim).enumerate() {
        for (place, value) in place.iter_mut().zip(job.query(head, row)) {
            *place = value * job.scale;
        }
    }
}

/// A head's rows against one page.
struct Page<'a> {
    job: &'a Job<'a>,
    sizes: Sizes,
    head: usize,
    page: usize,
    queries: &'a [f32],
    partial: &'a mut [f32],
}

impl Page<'_> {
    #[inline(always)]
    fn attend_all<S: Simd>(&mut self, simd: S) {
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

    /// Rows that have seen nothing yet.
    #[inline(always)]
    fn start(&mut self) {
        let [outputs, sums, most] = self.sizes.split(self.partial);
        outputs.fill(0.0);
        sums.fill(0.0);
        most.fill(LOWEST);
    }

    /// `R` rows from `row` on.
    #[inline(always)]
    fn attend<S: Simd, const R: usize>(&mut self, simd: S, row: usize) {
        let Sizes { dim, stride, .. } = self.sizes;
        let mut scores = Scores([[0.0; PAGE_TOKENS]; R]);
        let start = self.page * PAGE_TOKENS;
        let visible: [Visible; R] = std::array::from_fn(|r| {
            let seen = self.job.visible((row + r) / self.job.group);
            seen.within(start, PAGE_TOKENS)
        });
        let [outputs, sums, most] = self.sizes.split(self.partial);
        let group = Group {
            queries: &self.queries[row * dim..][..R * dim],
            outputs: &mut outputs[row * stride..][..R * stride],
            most: &mut most[row..][..R],
            sums: &mut sums[row * MOST_LANES..][..R * MOST_LANES],
            scores: scores.0.as_flattened_mut(),
        };
        let (cache, layer) = (self.job.cache, self.job.layer);
        let keys = Blocks {
            start: cache.keys(self.page, layer, self.head).as_ptr(),
            rows: dim,
        };
        let values = Halves {
            start: cache.values(self.page, layer, self.head).as_ptr(),
            stride,
        };
        // SAFETY: a page has PAGE_TOKENS positions of `dim` components of keys, and as many rows of
        // `stride` values; `visible` was cut to it; and the slices are as long as asked.
        unsafe { attend_rows::<S, _, _, R>(simd, group, keys, values, visible) };
    }
}
