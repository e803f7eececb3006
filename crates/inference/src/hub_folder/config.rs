//! `config.json` in the keys of GGUF.
//!
//! Fields and their meanings are those of transformers' configuration classes
//! (`LlamaConfig` and its like). Numbers are checked
//! where they are used; here, that they are there and that nothing asks for what nobody here can do.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;

use super::fields::Fields;
use super::names::Names;
use super::rope;
use crate::Result;

/// Architectures that are known, for messages.
const KNOWN: &str = "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, \
                     GemmaForCausalLM, Gemma2ForCausalLM, Gemma3ForCausalLM, Phi3ForCausalLM, \
                     Idefics3ForConditionalGeneration, SmolVLMForConditionalGeneration";

/// What the class of a model fixes.
#[derive(Debug, Clone, Copy)]
struct Class {
    /// GGUF's name for the architecture.
    architecture: &'static str,
    /// Whether it sees, and so has its text model in a section.
    sees: bool,
    /// When a window holds.
    window: Window,
    /// Whether scales of norms are stored less one, and the embedding is tied, as Gemma's are.
    is_gemma: bool,
    /// Whether heads may have another width than the hidden states divided by their number, so that
    /// it must be stated.
    states_head_dim: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Never,
    /// Where `sliding_window` is stated.
    Stated,
    /// Where `use_sliding_window` says so, too.
    Asked,
}

const LLAMA: Class = Class {
    architecture: "llama",
    sees: false,
    window: Window::Never,
    is_gemma: false,
    states_head_dim: false,
};

const GEMMA: Class = Class {
    architecture: "gemma",
    is_gemma: true,
    states_head_dim: true,
    ..LLAMA
};

impl Class {
    fn named(name: &str) -> Option<Self> {
        let llama = |architecture, window| Self {
            architecture,
            window,
            ..LLAMA
        };
        match name {
            "LlamaForCausalLM" => Some(LLAMA),
            "MistralForCausalLM" => Some(llama("llama", Window::Stated)),
            "Qwen2ForCausalLM" => Some(llama("qwen2", Window::Asked)),
            "Qwen3ForCausalLM" => Some(Self {
                states_head_dim: true,
                ..llama("qwen3", Window::Asked)
            }),
            "Phi3ForCausalLM" => Some(llama("phi3", Window::Stated)),
            "GemmaForCausalLM" => Some(GEMMA),
            "Gemma2ForCausalLM" => Some(Self {
                architecture: "gemma2",
                window: Window::Stated,
                ..GEMMA
            }),
            "Gemma3ForCausalLM" => Some(Self {
                architecture: "gemma3",
                window: Window::Stated,
                ..GEMMA
            }),
            "Idefics3ForConditionalGeneration" | "SmolVLMForConditionalGeneration" => Some(Self {
                sees: true,
                ..LLAMA
            }),
            _ => None,
        }
    }

    fn has_post_norms(self) -> bool {
        matches!(self.architecture, "gemma2" | "gemma3")
    }

    fn names(self) -> Names {
        let (prefix, ignored): (_, &[&str]) = match self.sees {
            true => (
                "model.text_model.",
                &["model.vision_model.", "model.connector."],
            ),
            false => ("model.", &[]),
        };
        Names {
            prefix,
            has_post_norms: self.has_post_norms(),
            ignored,
        }
    }
}

/// What a configuration says.
#[derive(Debug)]
pub(super) struct Translated {
    /// By GGUF's key: what the file calls it, and its value.
    pub(super) metadata: HashMap<String, (String, Value)>,
    /// What tensors are called.
    pub(super) names: Names,
    /// Factors of the rotary embedding, which GGUF files hold as tensors.
    pub(super) factors: Vec<(&'static str, Vec<f32>)>,
    /// Whether scales of norms are stored less one.
    pub(super) norms_are_offsets: bool,
    /// Whether the logits use the embedding again.
    pub(super) is_tied: bool,
    /// Tokens in the vocabulary, and what the file calls their number.
    pub(super) vocabulary: Option<(String, u64)>,
}

/// Translates a configuration.
pub(super) fn translate(config: &Fields) -> Result<Translated> {
    let class = class(config)?;
    let text = text_section(config, class)?;
    refuse_what_is_not_done(config, &text, class)?;
    let mut metadata = Metadata {
        architecture: class.architecture,
        sees: class.sees,
        entries: HashMap::new(),
    };
    metadata.add_sizes(&text, class)?;
    metadata.add_scores(&text)?;
    metadata.add_window(&text, class)?;
    let head_dim = metadata.head_dim();
    let rotary = rope::read(&text, head_dim)?;
    for (part, name, value) in rotary.numbers {
        metadata.put(part, text.label(&name), value);
    }
    Ok(Translated {
        vocabulary: text
            .integer("vocab_size")?
            .map(|size| (text.label("vocab_size"), size)),
        metadata: metadata.entries,
        names: class.names(),
        factors: rotary.factors,
        norms_are_offsets: class.is_gemma,
        is_tied: config
            .boolean("tie_word_embeddings")?
            .unwrap_or(class.is_gemma),
    })
}

fn class(config: &Fields) -> Result<Class> {
    let names = config.strings("architectures")?;
    let names = names.ok_or_else(|| config.missing("architectures"))?;
    let known = names.iter().find_map(|name| Class::named(name));
    known.ok_or_else(|| config.unsupported("architecture", names.join(", "), KNOWN))
}

/// Where the text model's fields are.
fn text_section(config: &Fields, class: Class) -> Result<Fields> {
    if !class.sees {
        return Ok(config.clone());
    }
    let text = config.section("text_config")?;
    let text = text.ok_or_else(|| config.missing("text_config"))?;
    match text.string("model_type")? {
        None | Some("llama") => Ok(text),
        Some(other) => Err(text.unsupported("text model", other, "llama")),
    }
}

fn refuse_what_is_not_done(config: &Fields, text: &Fields, class: Class) -> Result<()> {
    for fields in [config, text] {
        if let Some(quantised) = fields.section("quantization_config")? {
            let method = quantised.string("quant_method")?.unwrap_or("of some kind");
            return Err(fields.unsupported("quantisation", method, "weights in f32, f16 or bf16"));
        }
    }
    for name in [
        "qk_layer_norms",
        "rope_interleaved",
        "use_bidirectional_attention",
    ] {
        if text.boolean(name)? == Some(true) {
            let found = format!("{} true", text.label(name));
            return Err(text.unsupported("attention", found, "attention without it"));
        }
    }
    let stated = text.string("hidden_activation")?;
    let stated = stated.or(text.string("hidden_act")?);
    match stated {
        None => Ok(()),
        // Gemma's first files say "gelu" and mean its tanh form.
        Some("gelu_pytorch_tanh" | "gelu") if class.is_gemma => Ok(()),
        Some("silu") if !class.is_gemma => Ok(()),
        Some(other) => Err(text.unsupported(
            "activation",
            other,
            "silu, and gelu_pytorch_tanh in Gemma's models",
        )),
    }
}

/// Metadata in the making.
struct Metadata {
    architecture: &'static str,
    sees: bool,
    entries: HashMap<String, (String, Value)>,
}

impl Metadata {
    fn put(&mut self, part: &str, field: String, value: Value) {
        let key = format!("{}.{part}", self.architecture);
        self.entries.insert(key, (field, value));
    }

    fn add_sizes(&mut self, text: &Fields, class: Class) -> Result<()> {
        let architecture = Value::String(class.architecture.to_owned());
        let field = "architectures".to_owned();
        let key = "general.architecture".to_owned();
        self.entries.insert(key, (field, architecture));
        for (part, name) in [
            ("block_count", "num_hidden_layers"),
            ("context_length", "max_position_embeddings"),
            ("embedding_length", "hidden_size"),
            ("feed_forward_length", "intermediate_size"),
            ("attention.head_count", "num_attention_heads"),
        ] {
            let size = text.integer(name)?.or_else(|| self.default_of(name));
            let size = size.ok_or_else(|| text.missing(name))?;
            self.put(part, text.label(name), Value::U64(size));
        }
        if let Some(heads) = text.integer("num_key_value_heads")? {
            let field = text.label("num_key_value_heads");
            self.put("attention.head_count_kv", field, Value::U64(heads));
        }
        match text.integer("head_dim")? {
            None if class.states_head_dim => return Err(text.missing("head_dim")),
            None => (),
            Some(width) => {
                for part in ["attention.key_length", "attention.value_length"] {
                    self.put(part, text.label("head_dim"), Value::U64(width));
                }
            }
        }
        let epsilon = text.float("rms_norm_eps")?;
        let epsilon = epsilon.or(self.sees.then_some(1e-6));
        let epsilon = epsilon.ok_or_else(|| text.missing("rms_norm_eps"))?;
        let field = text.label("rms_norm_eps");
        self.put(
            "attention.layer_norm_rms_epsilon",
            field,
            Value::F64(epsilon),
        );
        Ok(())
    }

    /// A section is saved without the fields in which it is like a new configuration of its class:
    /// SmolVLM-500M has Llama's 32 layers and does not say so.
    fn default_of(&self, name: &str) -> Option<u64> {
        match name {
            _ if !self.sees => None,
            "hidden_size" => Some(4096),
            "intermediate_size" => Some(11_008),
            "num_hidden_layers" | "num_attention_heads" => Some(32),
            "max_position_embeddings" => Some(2048),
            _ => None,
        }
    }

    /// The width of a head, as [`DecoderConfig`](crate::decoder::DecoderConfig) has it; 0 where the
    /// numbers make none, which is complained about there.
    fn head_dim(&self) -> u64 {
        let number = |part: &str| {
            let key = format!("{}.{part}", self.architecture);
            let entry = self.entries.get(&key).map(|(_, value)| value);
            entry.and_then(|value| value.to_u64().ok())
        };
        let divided = || number("embedding_length")?.checked_div(number("attention.head_count")?);
        number("attention.key_length").or_else(divided).unwrap_or(0)
    }

    /// How scores and logits are scaled and capped, in models that say.
    fn add_scores(&mut self, text: &Fields) -> Result<()> {
        if let Some(scalar) = text.float("query_pre_attn_scalar")? {
            let name = "query_pre_attn_scalar";
            if scalar <= 0.0 {
                return Err(text.bad(name, "must be greater than 0"));
            }
            let scale = Value::F64(scalar.sqrt().recip());
            self.put("attention.scale", text.label(name), scale);
        }
        for name in ["attn_logit_softcapping", "final_logit_softcapping"] {
            if text.names(name) {
                let cap = text.float(name)?.unwrap_or(0.0);
                self.put(name, text.label(name), Value::F64(cap));
            }
        }
        Ok(())
    }

    fn add_window(&mut self, text: &Fields, class: Class) -> Result<()> {
        let is_asked = text.boolean("use_sliding_window")?.unwrap_or(false);
        match class.window {
            Window::Never => return Ok(()),
            Window::Asked if !is_asked => return Ok(()),
            Window::Asked | Window::Stated => (),
        }
        let name = "sliding_window";
        let tokens = text.integer(name)?.unwrap_or(0);
        self.put(
            "attention.sliding_window",
            text.label(name),
            Value::U64(tokens),
        );
        if !class.has_post_norms() {
            return Ok(());
        }
        let part = "attention.sliding_window_pattern";
        if let Some(kinds) = text.strings("layer_types")? {
            let kinds = kinds.into_iter();
            let local = kinds.map(|kind| Value::Bool(kind == "sliding_attention"));
            self.put(
                part,
                text.label("layer_types"),
                Value::Array(local.collect()),
            );
        } else if let Some(period) = text.integer("sliding_window_pattern")? {
            let field = text.label("sliding_window_pattern");
            self.put(part, field, Value::U64(period));
        }
        Ok(())
    }
}
