//! The end of decoding a head: what its pages have left is brought together, in their order.

use crate::disjoint::Disjoint;
use crate::simd::{Kernel, MOST_LANES, Simd};

use super::causal::Job;
use super::decode::Sizes;
use super::tile::write_result;
use super::weights::{LOWEST, Shares, greater};

/// A head whose pages have all been looked at: the later ones join the first.
pub(super) struct Join<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) sizes: Sizes,
    pub(super) head: usize,
    /// What its pages have left, page by page.
    pub(super) partials: &'a mut [f32],
    pub(super) out: &'a Disjoint<'a, f32>,
}

impl Kernel for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Sizes { rows, dim, stride } = self.sizes;
        for row in 0..rows {
            self.join_row(simd, row);
            let [outputs, sums, _] = self.sizes.split(self.partials);
            let sums = &sums[row * MOST_LANES..][..MOST_LANES];
            let at = self.job.place(self.head, row);
            // SAFETY: each row of each head of keys has its own place, and one task writes a head's.
            let out = unsafe { self.out.part(at, dim) };
            write_result(simd, sums, &outputs[row * stride..][..dim], out);
        }
    }
}

impl Join<'_> {
    /// Joins a row's pages to its first, `MOST_LANES` pages' shares at a time.
    #[inline(always)]
    fn join_row<S: Simd>(&mut self, simd: S, row: usize) {
        let sizes = self.sizes;
        let (first, others) = self.partials.split_at_mut(sizes.partial());
        let [outputs, sums, most] = sizes.split(first);
        let outputs = &mut outputs[row * sizes.stride..][..sizes.stride];
        let sums = &mut sums[row * MOST_LANES..][..MOST_LANES];
        let mut most = most[row];
        for pages in others.chunks_mut(MOST_LANES * sizes.partial()) {
            let (mut former, mut page) = ([LOWEST; MOST_LANES], [LOWEST; MOST_LANES]);
            for (number, partial) in pages.chunks_exact_mut(sizes.partial()).enumerate() {
                former[number] = most;
                page[number] = sizes.split(partial)[2][row];
                most = greater(most, page[number]);
            }
            let shares = Shares::new(simd, former, page);
            for (number, partial) in pages.chunks_exact_mut(sizes.partial()).enumerate() {
                let [page_outputs, page_sums, _] = sizes.split(partial);
                let page_outputs = &page_outputs[row * sizes.stride..][..sizes.stride];
                join(simd, &shares, number, outputs, page_outputs);
                join(simd, &shares, number, sums, &page_sums[row * MOST_LANES..]);
            }
        }
    }
}

/// Joins whole vectors.
#[inline(always)]
fn join<S: Simd, const R: usize>(
    simd: S,
    shares: &Shares<R>,
    number: usize,
    former: &mut [f32],
    page: &[f32],
) {
    let former = former.chunks_exact_mut(S::LANES);
    for (former, page) in former.zip(page.chunks_exact(S::LANES)) {
        // SAFETY: both chunks have LANES values.
        unsafe {
            let joined = shares.join(
                simd,
                number,
                simd.load(former.as_ptr()),
                simd.load(page.as_ptr()),
            );
            simd.store(former.as_mut_ptr(), joined);
        }
    }
}
