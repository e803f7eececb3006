//! A made-up BERT, as a folder.

use std::path::Path;

use serde_json::json;

use super::folder::{Made, write_json, write_tensors};
use crate::Result;

/// The sizes of an encoder of BERT's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderShape {
    /// Layers, one after the other.
    pub layers: usize,
    /// Width of the states, and of the vectors.
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub inner: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of the longest text.
    pub positions: usize,
}

impl EncoderShape {
    /// Writes the model as a folder: `config.json`, `tokenizer.json`, `model.safetensors`.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write) when a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let config = json!({
            "model_type": "bert", "hidden_act": "gelu",
            "hidden_size": self.hidden, "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads, "intermediate_size": self.inner,
            "vocab_size": self.vocabulary, "max_position_embeddings": self.positions,
            "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0,
        });
        write_json(&folder.join("config.json"), &config)?;
        write_json(&folder.join("tokenizer.json"), &tokenizer())?;
        let longest = json!({ "max_seq_length": self.positions });
        write_json(&folder.join("sentence_bert_config.json"), &longest)?;
        write_tensors(&folder.join("model.safetensors"), &self.tensors())
    }

    fn tensors(&self) -> Vec<Made> {
        let hidden = self.hidden;
        let embedding =
            |name: &str, rows| Made::matrix(&format!("embeddings.{name}"), rows, hidden);
        let mut tensors = vec![
            embedding("word_embeddings.weight", self.vocabulary),
            embedding("position_embeddings.weight", self.positions),
            embedding("token_type_embeddings.weight", 2),
        ];
        tensors.extend(norm("embeddings.LayerNorm", hidden));
        for layer in 0..self.layers {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            let maps = [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", self.inner, hidden),
                ("output.dense", hidden, self.inner),
            ];
            for (part, outputs, inputs) in maps {
                let map = name(part);
                tensors.push(Made::matrix(&format!("{map}.weight"), outputs, inputs));
                tensors.push(Made::of(format!("{map}.bias"), vec![outputs], 0.0));
            }
            tensors.extend(norm(&name("attention.output.LayerNorm"), hidden));
            tensors.extend(norm(&name("output.LayerNorm"), hidden));
        }
        tensors
    }
}

fn norm(name: &str, width: usize) -> [Made; 2] {
    [
        Made::of(format!("{name}.weight"), vec![width], 1.0),
        Made::of(format!("{name}.bias"), vec![width], 0.0),
    ]
}

/// One that knows the special tokens and nothing else: tests bring tokens.
fn tokenizer() -> serde_json::Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null, "decoder": null,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": { "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3 },
        },
    })
}
