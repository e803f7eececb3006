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

/// What the products of an encoder are computed in.
///
/// The vectors of all-MiniLM-L6-v2 have these cosines with those in f32, over the paragraphs and
/// questions of the tests: 0.9999 or more in all three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// Weights and activations in f32.
    F32,
    /// Weights in bfloat16, and activations too where the processor has an instruction for it.
    Bf16,
    /// Weights and activations in bytes, with a scale for each 32 of them; matrices whose rows are
    /// not multiples of 32 in f32. The fastest, and a quarter of f32's memory.
    #[default]
    Int8,
}
