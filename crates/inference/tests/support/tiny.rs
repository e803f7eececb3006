//! A text model of a few thousand random weights, written as a GGUF file that can be spoiled.

use std::fs::File;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

pub(crate) const BLOCKS: usize = 2;
pub(crate) const HIDDEN: usize = 32;
pub(crate) const HEADS: usize = 4;
pub(crate) const KV_HEADS: usize = 2;
pub(crate) const FEED_FORWARD: usize = 64;
pub(crate) const CONTEXT: usize = 600;
/// Of models that have one; the first block has it, and in Phi-3 the second, too.
pub(crate) const WINDOW: usize = 5;
/// 256 bytes, two merged words and two control tokens.
pub(crate) const VOCABULARY: usize = 260;
pub(crate) const IM_START: u32 = 258;
pub(crate) const IM_END: u32 = 259;

pub(crate) struct TinyModel {
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) tensors: Vec<(String, Tensor)>,
    random: u64,
}

impl TinyModel {
    /// Without metadata or tensors.
    pub(crate) fn empty() -> Self {
        Self {
            metadata: Vec::new(),
            tensors: Vec::new(),
            random: 1,
        }
    }

    pub(crate) fn new(architecture: &str) -> Self {
        let mut model = Self::empty();
        model.add_shape(architecture);
        model.add_tokenizer();
        model.add_tensors(architecture);
        model
    }

    pub(crate) fn head_dim(architecture: &str) -> usize {
        if ["qwen3", "gemma", "gemma2", "gemma3"].contains(&architecture) {
            16
        } else {
            HIDDEN / HEADS
        }
    }

    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.remove(key);
        self.metadata.push((key.to_owned(), value));
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.metadata.retain(|(name, _)| name != key);
    }

    pub(crate) fn set_tensor(&mut self, name: &str, tensor: Tensor) {
        self.remove_tensor(name);
        self.tensors.push((name.to_owned(), tensor));
    }

    pub(crate) fn remove_tensor(&mut self, name: &str) {
        self.tensors.retain(|(other, _)| other != name);
    }

    pub(crate) fn random(&mut self, dims: &[usize], size: f32) -> Tensor {
        let count: usize = dims.iter().product();
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            self.random = self
                .random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            values.push(((self.random >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * size);
        }
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
    }

    pub(crate) fn write(&self, path: &Path) {
        self.write_as(path, GgmlDType::F32);
    }

    /// Matrices in the type given, everything else in f32.
    pub(crate) fn write_as(&self, path: &Path, dtype: GgmlDType) {
        let quantised: Vec<(&str, QTensor)> = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let dtype = if tensor.rank() == 2 {
                    dtype
                } else {
                    GgmlDType::F32
                };
                (name.as_str(), QTensor::quantize(tensor, dtype).unwrap())
            })
            .collect();
        let tensors: Vec<(&str, &QTensor)> = quantised
            .iter()
            .map(|(name, tensor)| (*name, tensor))
            .collect();
        let metadata: Vec<(&str, &Value)> = self
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        gguf_file::write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
    }

    fn add_shape(&mut self, architecture: &str) {
        let sizes = [
            ("block_count", BLOCKS),
            ("context_length", CONTEXT),
            ("embedding_length", HIDDEN),
            ("feed_forward_length", FEED_FORWARD),
            ("attention.head_count", HEADS),
            ("attention.head_count_kv", KV_HEADS),
            ("attention.key_length", Self::head_dim(architecture)),
            ("attention.value_length", Self::head_dim(architecture)),
        ];
        self.set(
            "general.architecture",
            Value::String(architecture.to_owned()),
        );
        for (key, size) in sizes {
            self.set(&format!("{architecture}.{key}"), Value::U32(size as u32));
        }
        self.set(
            &format!("{architecture}.attention.layer_norm_rms_epsilon"),
            Value::F32(1e-5),
        );
        self.set(
            &format!("{architecture}.rope.freq_base"),
            Value::F32(10_000.0),
        );
        if ["gemma2", "gemma3", "phi3"].contains(&architecture) {
            let window = format!("{architecture}.attention.sliding_window");
            self.set(&window, Value::U32(WINDOW as u32));
        }
        if architecture == "gemma3" {
            let period = format!("{architecture}.attention.sliding_window_pattern");
            self.set(&period, Value::U32(BLOCKS as u32));
        }
    }

    fn add_tokenizer(&mut self) {
        let mut tokens: Vec<String> = (0..=255u8).map(|byte| spell(byte).to_string()).collect();
        tokens.extend(["he", "hel", "<|im_start|>", "<|im_end|>"].map(str::to_owned));
        let kinds = (0..VOCABULARY).map(|id| Value::I32(if id >= 258 { 3 } else { 1 }));
        let strings =
            |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
        self.set("tokenizer.ggml.model", Value::String("gpt2".to_owned()));
        self.set("tokenizer.ggml.pre", Value::String("gpt-2".to_owned()));
        self.set("tokenizer.ggml.tokens", strings(tokens));
        self.set("tokenizer.ggml.token_type", Value::Array(kinds.collect()));
        self.set(
            "tokenizer.ggml.merges",
            strings(vec!["h e".to_owned(), "he l".to_owned()]),
        );
        self.set("tokenizer.ggml.eos_token_id", Value::U32(IM_END));
        self.set("tokenizer.ggml.bos_token_id", Value::U32(IM_START));
    }

    fn add_tensors(&mut self, architecture: &str) {
        let queries = HEADS * Self::head_dim(architecture);
        let keys = KV_HEADS * Self::head_dim(architecture);
        self.add("token_embd.weight", &[VOCABULARY, HIDDEN], 1.0);
        self.add("output_norm.weight", &[HIDDEN], 1.0);
        if ["qwen2", "qwen3", "phi3"].contains(&architecture) {
            self.add("output.weight", &[VOCABULARY, HIDDEN], 1.0);
        }
        for block in 0..BLOCKS {
            let name = |part: &str| format!("blk.{block}.{part}");
            let parts = match architecture {
                "phi3" => vec![("attn_qkv", queries + 2 * keys)],
                _ => vec![("attn_q", queries), ("attn_k", keys), ("attn_v", keys)],
            };
            for (part, rows) in parts {
                self.add(&name(&format!("{part}.weight")), &[rows, HIDDEN], 0.5);
                if architecture == "qwen2" {
                    self.add(&name(&format!("{part}.bias")), &[rows], 0.5);
                }
            }
            if ["qwen3", "gemma3"].contains(&architecture) {
                let width = Self::head_dim(architecture);
                self.add(&name("attn_q_norm.weight"), &[width], 1.0);
                self.add(&name("attn_k_norm.weight"), &[width], 1.0);
            }
            self.add(&name("attn_output.weight"), &[HIDDEN, queries], 0.5);
            self.add(&name("attn_norm.weight"), &[HIDDEN], 1.0);
            self.add(&name("ffn_norm.weight"), &[HIDDEN], 1.0);
            if ["gemma2", "gemma3"].contains(&architecture) {
                self.add(&name("post_attention_norm.weight"), &[HIDDEN], 1.0);
                self.add(&name("post_ffw_norm.weight"), &[HIDDEN], 1.0);
            }
            if architecture == "phi3" {
                self.add(&name("ffn_up.weight"), &[2 * FEED_FORWARD, HIDDEN], 0.5);
            } else {
                self.add(&name("ffn_gate.weight"), &[FEED_FORWARD, HIDDEN], 0.5);
                self.add(&name("ffn_up.weight"), &[FEED_FORWARD, HIDDEN], 0.5);
            }
            self.add(&name("ffn_down.weight"), &[HIDDEN, FEED_FORWARD], 0.5);
        }
    }

    fn add(&mut self, name: &str, dims: &[usize], size: f32) {
        let tensor = self.random(dims, size);
        self.set_tensor(name, tensor);
    }
}

/// GPT-2's character for a byte.
fn spell(byte: u8) -> char {
    let code = u32::from(byte);
    let code = match byte {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => code,
        0x00..=0x20 => 0x100 + code,
        0x7F..=0xA0 => 0x121 + code - 0x7F,
        0xAD => 0x143,
    };
    char::from_u32(code).unwrap()
}
