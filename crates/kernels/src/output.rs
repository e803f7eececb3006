//! Where the products of a matrix go, and what their sums start from.
//!
//! Several matrices of one input fill one output side by side, and tasks fill it tile by tile. A
//! bias is where the sums start, so that no second pass over the outputs is needed for it.

use crate::disjoint::Disjoint;

/// The outputs of a matrix: row `t` of the inputs and row `r` of the matrix meet at
/// `t * stride + offset + r`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output<'out> {
    pub(crate) values: Disjoint<'out, f32>,
    pub(crate) stride: usize,
    pub(crate) offset: usize,
    /// What the sums start from, a value for each row of the matrix; zero if there is none.
    pub(crate) bias: Option<&'out [f32]>,
}

impl<'out> Output<'out> {
    /// The outputs of a token from row `first` of the matrix on; panics if there are not so many.
    ///
    /// # Safety
    ///
    /// While they are in use, nobody else uses these outputs.
    #[inline(always)]
    pub(crate) unsafe fn rows(&self, token: usize, first: usize, count: usize) -> &'out mut [f32] {
        let at = token * self.stride + self.offset + first;
        // SAFETY: the caller promises that no other part that overlaps this one is in use.
        unsafe { self.values.part(at, count) }
    }

    /// The bias of rows of the matrix; panics if it ends before.
    #[inline(always)]
    pub(crate) fn bias(&self, first: usize, count: usize) -> Option<&'out [f32]> {
        self.bias.map(|bias| &bias[first..first + count])
    }
}
