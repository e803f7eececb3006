//! A made-up Llama.

use std::collections::HashMap;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;

use super::{WeightType, random};
use crate::Result;
use crate::error::{compute_failed, invalid};
use crate::model_file::{ModelFile, StoredTensor, TensorData};

/// What messages name, since there is no file.
const NO_FILE: &str = "made-up weights";

/// The sizes of a text model of Llama's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextShape {
    /// Blocks, one after the other.
    pub blocks: usize,
    /// Width of the states.
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub feed_forward: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of the longest context.
    pub context: usize,
    /// Whether logits are made with the embedding.
    pub ties_embedding: bool,
}

impl TextShape {
    /// The model as an open file.
    pub(crate) fn model_file(&self, weights: WeightType) -> Result<ModelFile> {
        self.check(weights)?;
        let size = random::size_for(self.hidden);
        let pool = weights.make(self.largest(), size);
        let pool = pool.map_err(|source| compute_failed(NO_FILE, source))?;
        Ok(ModelFile::made_up(
            NO_FILE,
            self.metadata(),
            self.tensors(weights),
            pool,
        ))
    }

    /// Matrices and their shapes, by GGUF's names.
    fn matrices(&self) -> Vec<(String, [usize; 2])> {
        let (hidden, inner) = (self.hidden, self.feed_forward);
        let (queries, keys) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let mut matrices = vec![("token_embd".to_owned(), [self.vocabulary, hidden])];
        if !self.ties_embedding {
            matrices.push(("output".to_owned(), [self.vocabulary, hidden]));
        }
        for block in 0..self.blocks {
            let parts = [
                ("attn_q", [queries, hidden]),
                ("attn_k", [keys, hidden]),
                ("attn_v", [keys, hidden]),
                ("attn_output", [hidden, queries]),
                ("ffn_gate", [inner, hidden]),
                ("ffn_up", [inner, hidden]),
                ("ffn_down", [hidden, inner]),
            ];
            let named = parts.map(|(part, dims)| (format!("blk.{block}.{part}"), dims));
            matrices.extend(named);
        }
        matrices
    }

    fn norms(&self) -> Vec<String> {
        let of_blocks = (0..self.blocks)
            .flat_map(|block| ["attn_norm", "ffn_norm"].map(|part| format!("blk.{block}.{part}")));
        of_blocks.chain(["output_norm".to_owned()]).collect()
    }

    fn largest(&self) -> usize {
        let matrices = self.matrices().into_iter();
        let sizes = matrices.map(|(_, [rows, columns])| rows * columns);
        sizes.max().unwrap_or(0)
    }

    fn tensors(&self, weights: WeightType) -> HashMap<String, StoredTensor> {
        let matrices = self.matrices().into_iter();
        let matrices = matrices.map(|(name, [rows, columns])| StoredTensor {
            name: format!("{name}.weight"),
            dims: vec![rows, columns],
            dtype: weights.ggml(),
            data: TensorData::Pooled(weights.bytes(rows * columns)),
        });
        let ones: Vec<u8> = 1f32.to_le_bytes().repeat(self.hidden);
        let norms = self.norms().into_iter().map(|name| StoredTensor {
            name: format!("{name}.weight"),
            dims: vec![self.hidden],
            dtype: GgmlDType::F32,
            data: TensorData::Made(ones.clone()),
        });
        let named = matrices.chain(norms);
        named.map(|tensor| (tensor.name.clone(), tensor)).collect()
    }

    fn metadata(&self) -> HashMap<String, Value> {
        let sizes = [
            ("block_count", self.blocks),
            ("context_length", self.context),
            ("embedding_length", self.hidden),
            ("feed_forward_length", self.feed_forward),
            ("attention.head_count", self.heads),
            ("attention.head_count_kv", self.kv_heads),
            ("attention.key_length", self.head_dim),
            ("attention.value_length", self.head_dim),
        ];
        let sizes = sizes.map(|(key, size)| (format!("llama.{key}"), Value::U64(size as u64)));
        let numbers = [
            ("llama.attention.layer_norm_rms_epsilon", 1e-5),
            ("llama.rope.freq_base", 10_000.0),
        ];
        let numbers = numbers.map(|(key, number)| (key.to_owned(), Value::F32(number)));
        let name = Value::String("llama".to_owned());
        let name = [("general.architecture".to_owned(), name)];
        sizes.into_iter().chain(numbers).chain(name).collect()
    }

    fn check(&self, weights: WeightType) -> Result<()> {
        let fits = |columns| weights.takes_rows_of(columns);
        let queries = self.heads * self.head_dim;
        match [self.hidden, self.feed_forward, queries]
            .into_iter()
            .all(fits)
        {
            true => Ok(()),
            false => Err(invalid(
                "weights",
                weights,
                "a type whose blocks divide the rows of this shape",
            )),
        }
    }
}
