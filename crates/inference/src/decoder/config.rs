//! The shape of a decoder, from the metadata of a GGUF file, checked once.

use longtrainer_kernels::RotaryLayout;

use crate::Result;
use crate::gguf::GgufFile;

const SUPPORTED: &str = "llama (Llama, SmolLM2, Mistral), qwen2, qwen3";

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
    /// Base of the rotary frequencies.
    pub(crate) rotary_base: f32,
    /// Positions are divided by this (linear scaling).
    pub(crate) rotary_scale: f32,
    /// How rotary pairs lie: side by side in GGUF files of llama models, half a head apart in others.
    pub(crate) rotary_layout: RotaryLayout,
    /// Whether each head's queries and keys are normed.
    pub(crate) has_head_norms: bool,
}

impl DecoderConfig {
    /// Reads and checks the metadata.
    pub(crate) fn from_gguf(file: &GgufFile) -> Result<Self> {
        let architecture = file.required_string("general.architecture")?;
        let (rotary_layout, has_head_norms) = match architecture {
            "llama" => (RotaryLayout::Interleaved, false),
            "qwen2" => (RotaryLayout::Halves, false),
            "qwen3" => (RotaryLayout::Halves, true),
            other => return Err(file.unsupported("architecture", other, SUPPORTED)),
        };
        let key = |name: &str| format!("{architecture}.{name}");
        let size = |name: &str| file.required_size(&key(name));
        let hidden = size("embedding_length")?;
        let heads = size("attention.head_count")?;
        let config = Self {
            blocks: size("block_count")?,
            hidden,
            feed_forward: size("feed_forward_length")?,
            heads,
            kv_heads: optional_size(file, &key("attention.head_count_kv"))?.unwrap_or(heads),
            head_dim: optional_size(file, &key("attention.key_length"))?.unwrap_or(hidden / heads),
            vocabulary: vocabulary(file)?,
            context_length: context_length(file, &key)?,
            norm_epsilon: file
                .float(&key("attention.layer_norm_rms_epsilon"))?
                .ok_or_else(|| file.bad("attention.layer_norm_rms_epsilon is missing"))?,
            rotary_base: file.float(&key("rope.freq_base"))?.unwrap_or(10_000.0),
            rotary_scale: rotary_scale(file, &key)?,
            rotary_layout,
            has_head_norms,
        };
        config.check(file, &key)?;
        Ok(config)
    }

    fn check(&self, file: &GgufFile, key: &dyn Fn(&str) -> String) -> Result<()> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(file.bad(format!(
                "{} query heads cannot share {} key heads",
                self.heads, self.kv_heads
            )));
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return Err(file.bad(format!("heads have the odd width {}", self.head_dim)));
        }
        self.check_same(file, &key("attention.value_length"), "key and value heads")?;
        self.check_same(file, &key("rope.dimension_count"), "rotation and head")?;
        if self.rotary_base <= 0.0 || self.norm_epsilon < 0.0 {
            return Err(file.bad("rope.freq_base and the norms' epsilon must not be negative"));
        }
        match file.integer(&key("expert_count"))? {
            None | Some(0) => Ok(()),
            Some(count) => {
                let found = format!("mixture of {count} experts");
                Err(file.unsupported("feed-forward", found, "dense models"))
            }
        }
    }

    fn check_same(&self, file: &GgufFile, key: &str, what: &'static str) -> Result<()> {
        match optional_size(file, key)? {
            Some(width) if width != self.head_dim => {
                let found = format!("{what} width {} and {width}", self.head_dim);
                Err(file.unsupported("attention", found, "equal widths"))
            }
            _ => Ok(()),
        }
    }
}

fn optional_size(file: &GgufFile, key: &str) -> Result<Option<usize>> {
    match file.integer(key)? {
        None => Ok(None),
        Some(_) => file.required_size(key).map(Some),
    }
}

/// The embedding's rows say how many tokens there are; the metadata need not.
fn vocabulary(file: &GgufFile) -> Result<usize> {
    match file.tensor_dims("token_embd.weight") {
        Some([rows, _]) => Ok(*rows),
        Some(dims) => {
            let problem = format!("its shape is {dims:?}, but must have two dimensions");
            Err(file.bad_tensor("token_embd.weight", problem))
        }
        None => Err(file.bad_tensor("token_embd.weight", "it is missing")),
    }
}

/// A model whose attention sees a sliding window is held to contexts inside the window, in which it
/// is an ordinary model.
fn context_length(file: &GgufFile, key: &dyn Fn(&str) -> String) -> Result<usize> {
    let trained = file.required_size(&key("context_length"))?;
    let window = optional_size(file, &key("attention.sliding_window"))?;
    Ok(window.map_or(trained, |window| window.min(trained)))
}

fn rotary_scale(file: &GgufFile, key: &dyn Fn(&str) -> String) -> Result<f32> {
    let kind = file.string(&key("rope.scaling.type"))?.unwrap_or("none");
    match kind {
        "none" => Ok(1.0),
        "linear" => {
            let factor = file.float(&key("rope.scaling.factor"))?.unwrap_or(1.0);
            if factor <= 0.0 {
                return Err(file.bad(format!("rope.scaling.factor is {factor}")));
            }
            Ok(factor)
        }
        other => Err(file.unsupported("rotary scaling", other, "none, linear")),
    }
}
