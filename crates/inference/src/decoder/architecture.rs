//! What the name of an architecture fixes. Sizes and numbers are in the metadata of a file.

use longtrainer_kernels::RotaryLayout;

use crate::Result;
use crate::model_file::ModelFile;

/// Names that are known, for messages.
pub(super) const NAMES: &str = "llama (Llama, SmolLM2, Mistral), qwen2, qwen3, gemma, gemma2, \
                                gemma3, phi3 (Phi-3, Phi-4)";

/// What is done to the gate of a feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x / (1 + e^-x)`.
    Silu,
    /// The tanh form of the Gaussian error linear unit.
    GeluTanh,
}

/// What a sliding window in the metadata means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowRule {
    /// The model is held to contexts inside the window, in which it is an ordinary model.
    LimitsContext,
    /// Attention of every block is held to the window.
    EveryBlock,
    /// So is that of every block but each `period`-th, if the file does not say which.
    AllButEach { period: usize },
}

/// The facts about an architecture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Architecture {
    /// How rotary pairs lie in GGUF files: side by side in those of llama models, half a head apart in
    /// others.
    pub(super) rotary_layout: RotaryLayout,
    /// Whether the last components of a head may stay as they are.
    pub(super) rotates_partly: bool,
    /// Rotary base of blocks with a window, where it is not that of the others.
    pub(super) local_rotary_base: Option<f32>,
    /// Whether each head's queries and keys are normed.
    pub(super) has_head_norms: bool,
    /// Whether what attention and feed-forward part add is normed, too.
    pub(super) has_post_norms: bool,
    /// Whether queries, keys and values are one matrix of the file, and gate and up another.
    pub(super) joins_matrices: bool,
    /// What is done to the gate.
    pub(super) activation: Activation,
    /// Whether the embedding is multiplied by the root of its width.
    pub(super) scales_embedding: bool,
    /// What a window means.
    pub(super) window_rule: WindowRule,
    /// The window of files that do not say.
    pub(super) default_window: Option<usize>,
    /// The one model, by its number of blocks, whose scores are scaled for heads of width
    /// `hidden / heads`, which its heads do not have.
    pub(super) rescaled_blocks: Option<usize>,
    /// Soft caps of scores and of logits in files that do not say.
    pub(super) score_cap: Option<f32>,
    pub(super) logit_cap: Option<f32>,
}

const LLAMA: Architecture = Architecture {
    rotary_layout: RotaryLayout::Interleaved,
    rotates_partly: false,
    local_rotary_base: None,
    has_head_norms: false,
    has_post_norms: false,
    joins_matrices: false,
    activation: Activation::Silu,
    scales_embedding: false,
    window_rule: WindowRule::LimitsContext,
    default_window: None,
    rescaled_blocks: None,
    score_cap: None,
    logit_cap: None,
};

const QWEN2: Architecture = Architecture {
    rotary_layout: RotaryLayout::Halves,
    ..LLAMA
};

const QWEN3: Architecture = Architecture {
    has_head_norms: true,
    ..QWEN2
};

/// Gemma Team 2024, <https://arxiv.org/abs/2403.08295>.
const GEMMA: Architecture = Architecture {
    activation: Activation::GeluTanh,
    scales_embedding: true,
    ..QWEN2
};

/// Gemma Team 2024, <https://arxiv.org/abs/2408.00118>. The 27B model has 46 blocks.
const GEMMA2: Architecture = Architecture {
    has_post_norms: true,
    window_rule: WindowRule::AllButEach { period: 2 },
    default_window: Some(4096),
    rescaled_blocks: Some(46),
    score_cap: Some(50.0),
    logit_cap: Some(30.0),
    ..GEMMA
};

/// Gemma Team 2025, <https://arxiv.org/abs/2503.19786>. The 27B model has 62 blocks.
const GEMMA3: Architecture = Architecture {
    has_head_norms: true,
    has_post_norms: true,
    window_rule: WindowRule::AllButEach { period: 6 },
    local_rotary_base: Some(10_000.0),
    rescaled_blocks: Some(62),
    ..GEMMA
};

/// Abdin et al. 2024, <https://arxiv.org/abs/2404.14219>.
const PHI3: Architecture = Architecture {
    rotates_partly: true,
    joins_matrices: true,
    window_rule: WindowRule::EveryBlock,
    ..QWEN2
};

impl Architecture {
    /// The facts about a name in `general.architecture`.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "llama" => Some(LLAMA),
            "qwen2" => Some(QWEN2),
            "qwen3" => Some(QWEN3),
            "gemma" => Some(GEMMA),
            "gemma2" => Some(GEMMA2),
            "gemma3" => Some(GEMMA3),
            "phi3" => Some(PHI3),
            _ => None,
        }
    }
}

/// How rotary pairs lie in files of an architecture.
pub(crate) fn rotary_layout(file: &ModelFile, name: &str) -> Result<RotaryLayout> {
    let architecture = Architecture::named(name);
    let architecture = architecture.ok_or_else(|| file.unsupported("architecture", name, NAMES))?;
    Ok(architecture.rotary_layout)
}
