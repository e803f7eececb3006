//! How an encoder is run.

use crate::device::SelectedDevice;

/// How an encoder is run. The default is the processor with all its threads.
#[derive(Debug, Clone, Default)]
pub struct EmbedderOptions {
    /// Where.
    pub device: SelectedDevice,
    /// Threads of the processor that compute; `None` uses all. Vectors do not depend on it.
    pub threads: Option<usize>,
    /// How exactly the products are computed on the processor. Graphics cards compute in f32.
    pub precision: Precision,
}

/// What the products of an encoder are computed in. With each, the least cosine to the vectors in
/// f32 that all-MiniLM-L6-v2 gave for 180 texts: paragraphs, words, and the empty text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// Weights and activations in f32.
    F32,
    /// Weights in bfloat16, and activations too where the processor has an instruction for it: half
    /// the memory, and twice the rate there. 0.99997.
    Bf16,
    /// In bytes what is least felt, the two maps of a layer whose outputs are added to its states; in
    /// bfloat16 the others. 0.9997.
    #[default]
    Mixed,
    /// Weights and activations in bytes, with a scale for each 32 of them; matrices whose rows are
    /// not multiples of 32 in f32. The fastest, and a quarter of the memory. 0.998; 0.9997 in the
    /// mean.
    Int8,
}

impl Precision {
    /// That of a map whose outputs are added to the states.
    pub(crate) fn of_additions(self) -> Self {
        match self {
            Self::Mixed => Self::Int8,
            other => other,
        }
    }

    /// That of any other map.
    pub(crate) fn of_others(self) -> Self {
        match self {
            Self::Mixed => Self::Bf16,
            other => other,
        }
    }
}
