//! The buffers of a frame, kept from one frame to the next.

use longtrainer_kernels::QuantisedRows;

/// Rows of patches, each as wide as its use says.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The states.
    pub(super) states: Vec<f32>,
    /// Normed states, or what attention mixed of them.
    pub(super) normed: Vec<f32>,
    /// Pixels, queries with keys and values, or the states inside a feed-forward part.
    pub(super) joined: Vec<f32>,
    /// What a part of a block adds to the states.
    pub(super) out: Vec<f32>,
    /// Rounded inputs of a product.
    pub(super) rounded: QuantisedRows,
}

impl Scratch {
    /// Memory of the rows in f32, which is most of it.
    pub(super) fn bytes(&self) -> usize {
        let rows = [&self.states, &self.normed, &self.joined, &self.out];
        let values: usize = rows.into_iter().map(Vec::capacity).sum();
        values * size_of::<f32>()
    }
}
