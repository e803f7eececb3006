//! The buffers of a step, kept from one step to the next.

use longtrainer_kernels::QuantisedRows;

use super::adapter::LowRankScratch;

/// Rows of tokens, each as wide as its use says.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Hidden states: what blocks add to.
    pub(super) states: Vec<f32>,
    /// Normed hidden states.
    pub(super) normed: Vec<f32>,
    /// Queries, keys and values side by side, or gate and up.
    pub(super) joined: Vec<f32>,
    /// What attention mixed, or the gated inner states.
    pub(super) inner: Vec<f32>,
    /// What a part of a block adds to the states.
    pub(super) out: Vec<f32>,
    /// Rounded inputs of a product.
    pub(super) rows: QuantisedRows,
    /// What adapters compute with.
    pub(super) low_rank: LowRankScratch,
}
