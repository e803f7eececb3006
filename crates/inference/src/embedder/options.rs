//! How an encoder is run.

use candle_core::DType;

use crate::device::SelectedDevice;

/// How an encoder is run. The default is the processor with all its threads.
#[derive(Debug, Clone, Default)]
pub struct EmbedderOptions {
    /// Where.
    pub device: SelectedDevice,
    /// Threads of the processor that compute; `None` uses all. Vectors do not depend on it.
    pub threads: Option<usize>,
    /// How exactly the products are computed.
    pub precision: Precision,
}

/// What the products of an encoder are computed in. With each, the least cosine to the vectors in
/// f32 that all-MiniLM-L6-v2 gave for 180 texts: paragraphs, words, and the empty text. Graphics cards multiply 16 bits,
/// not bytes: [`on_a_card`](Self::on_a_card) says what they make of each.
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

/// What graphics cards compute an encoder in: weights, states and products; sums within products, norms, softmax and
/// pooling are in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardPrecision {
    /// Half the memory and many times the rate of f32, with eleven bits, to 65 504. It suits encoders of the BERT family,
    /// each of whose layers ends with a norm, so that no state grows. What does not fit is an error, not a wrong
    /// vector. The least cosine to f32 for all-MiniLM-L6-v2, computed so on the processor for 83 texts, is 0.99996.
    F16,
    /// The same memory and rate, with eight bits and the range of f32. It suits vision halves, whose states grow from
    /// block to block, and which are published in it.
    Bf16,
    /// f32.
    F32,
}

impl CardPrecision {
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
            Self::F32 => DType::F32,
        }
    }
}

impl Precision {
    /// What a graphics card computes in: f32 and bf16 where they were asked for, and f16, the more exact of the types
    /// of 16 bits, for what is in bytes on the processor.
    pub fn on_a_card(self) -> CardPrecision {
        match self {
            Self::F32 => CardPrecision::F32,
            Self::Bf16 => CardPrecision::Bf16,
            Self::Mixed | Self::Int8 => CardPrecision::F16,
        }
    }

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
