//! The buffers of a group, kept from one group to the next.

use longtrainer_kernels::QuantisedRows;

/// Rows of tokens, each as wide as its use says.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Hidden states.
    pub(super) states: Vec<f32>,
    /// Queries, keys and values side by side, or the states inside the feed-forward part.
    pub(super) joined: Vec<f32>,
    /// What attention mixed.
    pub(super) mixed: Vec<f32>,
    /// What a part of a layer adds to the states.
    pub(super) out: Vec<f32>,
    /// Rounded inputs of a product.
    pub(super) rows: QuantisedRows,
}

impl Scratch {
    /// Memory of the rows in f32, which is most of it.
    pub(super) fn bytes(&self) -> usize {
        let rows = [&self.states, &self.joined, &self.mixed, &self.out];
        let values: usize = rows.into_iter().map(Vec::capacity).sum();
        values * size_of::<f32>()
    }
}
