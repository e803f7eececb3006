//! The shape of a decoder, from the metadata of a model, checked once.

use super::architecture::{Activation, Architecture, NAMES, WindowRule};
use super::rotary_config::RotaryConfig;
use super::window::{self, Window};
use crate::model_file::ModelFile;
use crate::{Error, Result};

/// The shape of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DecoderConfig {
    /// Blocks, one after the other.
    pub(crate) blocks: usize,
    /// Width of the hidden state.
    pub(crate) hidden: usize,
    /// Width inside the feed-forward part.
    pub(crate) feed_forward: usize,
    /// Query heads.
    pub(crate) heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub(crate) kv_heads: usize,
    /// Width of a head.
    pub(crate) head_dim: usize,
    /// Tokens in the vocabulary.
    pub(crate) vocabulary: usize,
    /// Tokens that prompt and answer may have together.
    pub(crate) context_length: usize,
    /// Added to the mean square in a norm.
    pub(crate) norm_epsilon: f32,
    /// How heads are rotated.
    pub(crate) rotary: RotaryConfig,
    /// The window of local blocks, in models that have them.
    pub(crate) window: Option<Window>,
    /// Whether each head's queries and keys are normed.
    pub(crate) has_head_norms: bool,
    /// Whether what attention and feed-forward part add is normed, too.
    pub(crate) has_post_norms: bool,
    /// What is done to the gate of the feed-forward part.
    pub(crate) activation: Activation,
    /// What the embedding is multiplied by.
    pub(crate) embedding_scale: Option<f32>,
    /// What inner products of queries and keys are multiplied by.
    pub(crate) score_scale: f32,
    /// Scores `x` become `cap * tanh(x / cap)` (Bello et al. 2016).
    pub(crate) score_cap: Option<f32>,
    /// The same for logits.
    pub(crate) logit_cap: Option<f32>,
    joins_matrices: bool,
}

impl DecoderConfig {
    /// Reads and checks the metadata.
    pub(crate) fn from_gguf(file: &ModelFile) -> Result<Self> {
        let name = file.required_string("general.architecture")?;
        let architecture = Architecture::named(name)
            .ok_or_else(|| file.unsupported("architecture", name, NAMES))?;
        let key = |part: &str| format!("{name}.{part}");
        let size = |part: &str| file.required_size(&key(part));
        let blocks = size("block_count")?;
        let hidden = size("embedding_length")?;
        let heads = size("attention.head_count")?;
        let head_dim = optional_size(file, &key("attention.key_length"))?.unwrap_or(hidden / heads);
        check_head_dim(file, &key, head_dim)?;
        let scaled_for = match architecture.rescaled_blocks == Some(blocks) {
            true => hidden / heads,
            false => head_dim,
        };
        let config = Self {
            blocks,
            hidden,
            feed_forward: size("feed_forward_length")?,
            heads,
            kv_heads: optional_size(file, &key("attention.head_count_kv"))?.unwrap_or(heads),
            head_dim,
            vocabulary: vocabulary(file)?,
            context_length: context_length(file, &key, &architecture)?,
            norm_epsilon: norm_epsilon(file, &key)?,
            rotary: RotaryConfig::from_gguf(file, &key, &architecture, head_dim)?,
            window: Window::from_gguf(file, &key, &architecture, blocks)?,
            has_head_norms: architecture.has_head_norms,
            has_post_norms: architecture.has_post_norms,
            activation: architecture.activation,
            embedding_scale: architecture
                .scales_embedding
                .then_some((hidden as f32).sqrt()),
            score_scale: score_scale(file, &key, scaled_for)?,
            score_cap: cap(file, &key("attn_logit_softcapping"), architecture.score_cap)?,
            logit_cap: cap(
                file,
                &key("final_logit_softcapping"),
                architecture.logit_cap,
            )?,
            joins_matrices: architecture.joins_matrices,
        };
        config.check(file, &key)?;
        Ok(config)
    }

    /// Whether a block's attention is held to the window.
    pub(crate) fn is_local(&self, block: usize) -> bool {
        let window = self.window.as_ref();
        window.is_some_and(|window| window.is_local(block))
    }

    /// The window of a block, in tokens.
    pub(crate) fn window_of(&self, block: usize) -> Option<usize> {
        let window = self.window.as_ref();
        let window = window.filter(|window| window.is_local(block));
        window.map(|window| window.tokens)
    }

    /// The matrices that make queries, keys and values, side by side: names without `.weight` and
    /// widths of outputs. `name` makes the name of a block's part.
    pub(crate) fn attention_parts(&self, name: &dyn Fn(&str) -> String) -> Vec<(String, usize)> {
        let queries = self.heads * self.head_dim;
        let keys = self.kv_heads * self.head_dim;
        if self.joins_matrices {
            return vec![(name("attn_qkv"), queries + 2 * keys)];
        }
        vec![
            (name("attn_q"), queries),
            (name("attn_k"), keys),
            (name("attn_v"), keys),
        ]
    }

    /// The matrices that make gate and up, side by side, as above.
    pub(crate) fn feed_forward_parts(&self, name: &dyn Fn(&str) -> String) -> Vec<(String, usize)> {
        let width = self.feed_forward;
        if self.joins_matrices {
            return vec![(name("ffn_up"), 2 * width)];
        }
        vec![(name("ffn_gate"), width), (name("ffn_up"), width)]
    }

    fn check(&self, file: &ModelFile, key: &dyn Fn(&str) -> String) -> Result<()> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(file.bad(format!(
                "{} query heads cannot share {} key heads",
                self.heads, self.kv_heads
            )));
        }
        match file.integer(&key("expert_count"))? {
            None | Some(0) => Ok(()),
            Some(count) => {
                let found = format!("mixture of {count} experts");
                Err(file.unsupported("feed-forward", found, "dense models"))
            }
        }
    }
}

fn optional_size(file: &ModelFile, key: &str) -> Result<Option<usize>> {
    match file.integer(key)? {
        None => Ok(None),
        Some(_) => file.required_size(key).map(Some),
    }
}

fn check_head_dim(file: &ModelFile, key: &dyn Fn(&str) -> String, head_dim: usize) -> Result<()> {
    if head_dim == 0 || !head_dim.is_multiple_of(2) {
        return Err(file.bad(format!("heads have the odd width {head_dim}")));
    }
    match optional_size(file, &key("attention.value_length"))? {
        Some(width) if width != head_dim => {
            let found = format!("key and value heads width {head_dim} and {width}");
            Err(file.unsupported("attention", found, "equal widths"))
        }
        _ => Ok(()),
    }
}

/// The embedding's rows say how many tokens there are; the metadata need not.
fn vocabulary(file: &ModelFile) -> Result<usize> {
    match file.tensor_dims("token_embd.weight") {
        Some([rows, _]) => Ok(*rows),
        Some(dims) => {
            let problem = format!("its shape is {dims:?}, but must have two dimensions");
            Err(file.bad_tensor("token_embd.weight", problem))
        }
        None => Err(file.bad_tensor("token_embd.weight", "it is missing")),
    }
}

fn context_length(
    file: &ModelFile,
    key: &dyn Fn(&str) -> String,
    architecture: &Architecture,
) -> Result<usize> {
    let trained = file.required_size(&key("context_length"))?;
    if architecture.window_rule != WindowRule::LimitsContext {
        return Ok(trained);
    }
    let window = window::size(file, key)?.filter(|tokens| *tokens > 0);
    Ok(window.map_or(trained, |window| window.min(trained)))
}

fn norm_epsilon(file: &ModelFile, key: &dyn Fn(&str) -> String) -> Result<f32> {
    let key = key("attention.layer_norm_rms_epsilon");
    match file.float(&key)? {
        None => Err(file.bad(format!("{} is missing", file.field(&key)))),
        Some(epsilon) if epsilon < 0.0 => Err(negative(file, &key)),
        Some(epsilon) => Ok(epsilon),
    }
}

/// What the file says; else one over the root of a head's width (Vaswani et al. 2017).
fn score_scale(file: &ModelFile, key: &dyn Fn(&str) -> String, scaled_for: usize) -> Result<f32> {
    let key = key("attention.scale");
    match file.float(&key)? {
        Some(scale) if scale < 0.0 => Err(negative(file, &key)),
        // Some converters write 0 for a scale that is not stated.
        Some(scale) if scale > 0.0 => Ok(scale),
        _ => Ok(1.0 / (scaled_for as f32).sqrt()),
    }
}

/// A soft cap; 0 in a file stands for none.
fn cap(file: &ModelFile, key: &str, default: Option<f32>) -> Result<Option<f32>> {
    match file.float(key)? {
        Some(cap) if cap < 0.0 => Err(negative(file, key)),
        Some(cap) => Ok(Some(cap).filter(|cap| *cap > 0.0)),
        None => Ok(default),
    }
}

fn negative(file: &ModelFile, key: &str) -> Error {
    file.bad(format!("{} must not be negative", file.field(key)))
}
