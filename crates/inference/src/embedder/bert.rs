//! The encoder (Devlin et al. 2018; RoBERTa: Liu et al. 2019) over Candle's operators.
//!
//! Our own and not candle-transformers': no bias or mask is added in an operation of its own, no head is copied,
//! RoBERTa differs by one number, and a missing tensor is an error that names it.

use candle_core::{DType, Device, Tensor};

use super::folder::{BertConfig, ModelFolder};
use super::weights::Weights;
use crate::Result;
use crate::tensor_blocks::{Activation, Attention, FeedForward, LayerNorm, Loader, Marked, bytes};

/// The encoder.
#[derive(Debug)]
pub(super) struct Bert {
    words: Tensor,
    /// Position and token type together: every token of a text has type 0.
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    config: BertConfig,
}

#[derive(Debug)]
struct Layer {
    attention: Attention,
    attention_norm: LayerNorm,
    feed_forward: FeedForward,
    output_norm: LayerNorm,
}

impl Bert {
    /// Reads the weights of a folder, to be computed with in this type.
    pub(super) fn load(folder: &ModelFolder, device: &Device, dtype: DType) -> Result<Self> {
        let config = folder.config.clone();
        let weights = Weights::read(folder)?;
        let loader = Loader {
            source: &weights,
            device,
            dtype,
        };
        let words = [config.vocab_size, config.hidden_size];
        let layers = 0..config.num_hidden_layers;
        Ok(Self {
            words: loader.tensor("embeddings.word_embeddings.weight", &words)?,
            positions: load_positions(&config, &loader)?,
            norm: load_norm(&config, &loader, "embeddings.LayerNorm")?,
            layers: layers
                .map(|index| Layer::load(&config, &loader, index))
                .collect::<Result<_>>()?,
            config,
        })
    }

    /// Components of a vector.
    pub(super) fn dimension(&self) -> usize {
        self.config.hidden_size
    }

    /// Tokens of the vocabulary.
    pub(super) fn vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    /// Tokens of the longest text.
    pub(super) fn positions(&self) -> usize {
        self.config.longest_text()
    }

    /// The token that fills texts up. Nobody looks at it, but it must be there.
    pub(super) fn padding_id(&self) -> u32 {
        let id = self.config.pad_token_id;
        let is_there = (id as usize) < self.config.vocab_size;
        if is_there { id } else { 0 }
    }

    /// Memory of the weights, on whichever device they are.
    pub(super) fn memory_bytes(&self) -> usize {
        let tables = bytes(&self.words) + bytes(&self.positions);
        tables + self.norm.bytes() + self.layers.iter().map(Layer::bytes).sum::<usize>()
    }

    /// (texts, tokens) -> (texts, tokens, hidden). `marks` say which places of each text are none.
    pub(super) fn forward(&self, ids: &Tensor, marks: &Tensor) -> candle_core::Result<Tensor> {
        let (texts, tokens) = ids.dims2()?;
        let words = self.words.index_select(&ids.flatten_all()?, 0)?;
        let words = words.reshape((texts, tokens, self.dimension()))?;
        let positions = self.positions.narrow(0, 0, tokens)?;
        let mut states = self.norm.forward(&words.broadcast_add(&positions)?)?;
        let marked = Marked::new(marks, self.dimension())?;
        for layer in &self.layers {
            states = layer.forward(&states, &marked)?;
        }
        Ok(states)
    }
}

/// Rows from the first position on, with the row of token type 0 added.
fn load_positions(config: &BertConfig, loader: &Loader<'_>) -> Result<Tensor> {
    let name = "embeddings.position_embeddings.weight";
    let (hidden, rows) = (config.hidden_size, config.max_position_embeddings);
    let mut positions = loader.source.values(name, &[rows, hidden])?;
    positions.drain(..config.first_position() * hidden);
    if config.type_vocab_size > 0 {
        let name = "embeddings.token_type_embeddings.weight";
        let types = loader
            .source
            .values(name, &[config.type_vocab_size, hidden])?;
        for row in positions.chunks_exact_mut(hidden) {
            row.iter_mut()
                .zip(&types)
                .for_each(|(value, of_type)| *value += of_type);
        }
    }
    let rows = positions.len() / hidden;
    loader.place(name, positions, &[rows, hidden])
}

fn load_norm(config: &BertConfig, loader: &Loader<'_>, name: &str) -> Result<LayerNorm> {
    loader.norm(name, config.hidden_size, config.layer_norm_eps as f32)
}

impl Layer {
    fn load(config: &BertConfig, loader: &Loader<'_>, index: usize) -> Result<Self> {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let hidden = config.hidden_size;
        let attention = [
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
        ];
        let activation = match config.hidden_act.as_str() {
            "relu" => Activation::Relu,
            "gelu" => Activation::Gelu,
            _ => Activation::GeluTanh,
        };
        Ok(Self {
            attention: Attention::load(
                loader,
                attention.map(name),
                hidden,
                config.num_attention_heads,
            )?,
            attention_norm: load_norm(config, loader, &name("attention.output.LayerNorm"))?,
            feed_forward: FeedForward::load(
                loader,
                ["intermediate.dense", "output.dense"].map(name),
                (hidden, config.intermediate_size),
                activation,
            )?,
            output_norm: load_norm(config, loader, &name("output.LayerNorm"))?,
        })
    }

    fn bytes(&self) -> usize {
        let norms = self.attention_norm.bytes() + self.output_norm.bytes();
        self.attention.bytes() + self.feed_forward.bytes() + norms
    }

    fn forward(&self, states: &Tensor, marked: &Marked) -> candle_core::Result<Tensor> {
        let mixed = self.attention.forward(marked.put(states)?)?;
        let states = self.attention_norm.forward(&(mixed + states)?)?;
        let inner = self.feed_forward.forward(marked.put(&states)?)?;
        self.output_norm.forward(&(inner + states)?)
    }
}
