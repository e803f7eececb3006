//! The encoder (Devlin et al. 2018; RoBERTa: Liu et al. 2019) over Candle's operators.
//!
//! Our own and not candle-transformers': queries, keys and values are one product here, heads are
//! split with one copy, a batch without padding has no mask, RoBERTa differs by one number, and a
//! missing tensor is an error that names it.

use std::ops::Range;

use candle_core::{D, Device, Tensor};

use super::folder::{BertConfig, ModelFolder};
use super::gelu::gelu;
use super::weights::Weights;
use crate::Result;

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
    query_key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

#[derive(Debug)]
struct Linear {
    /// (inputs, outputs), a transposed view.
    matrix: Tensor,
    bias: Tensor,
}

#[derive(Debug)]
struct LayerNorm {
    scale: Tensor,
    shift: Tensor,
    epsilon: f32,
}

impl Bert {
    /// Reads the weights of a folder.
    pub(super) fn load(folder: &ModelFolder, device: &Device) -> Result<Self> {
        let config = folder.config.clone();
        let weights = Weights::read(folder, device)?;
        let hidden = config.hidden_size;
        let layers = 0..config.num_hidden_layers;
        Ok(Self {
            words: weights.take(
                "embeddings.word_embeddings.weight",
                &[config.vocab_size, hidden],
            )?,
            positions: load_positions(&config, &weights)?,
            norm: LayerNorm::load(&config, &weights, "embeddings.LayerNorm")?,
            layers: layers
                .map(|index| Layer::load(&config, &weights, index))
                .collect::<Result<_>>()?,
            config,
        })
    }

    /// Components of a vector.
    pub(super) fn dimension(&self) -> usize {
        self.config.hidden_size
    }

    /// The token that fills texts up.
    pub(super) fn padding_id(&self) -> u32 {
        self.config.pad_token_id
    }

    /// Memory of the weights, on whichever device they are.
    pub(super) fn memory_bytes(&self) -> usize {
        let tables = bytes(&self.words) + bytes(&self.positions);
        tables + self.norm.bytes() + self.layers.iter().map(Layer::bytes).sum::<usize>()
    }

    /// (texts, tokens) -> (texts, tokens, hidden). `padding` says which places of each text are
    /// none.
    pub(super) fn forward(
        &self,
        ids: &Tensor,
        padding: Option<&[Range<usize>]>,
    ) -> candle_core::Result<Tensor> {
        let (texts, tokens) = ids.dims2()?;
        let words = self.words.index_select(&ids.flatten_all()?, 0)?;
        let words = words.reshape((texts, tokens, self.dimension()))?;
        let positions = self.positions.narrow(0, 0, tokens)?;
        let mut states = self.norm.forward(&words.broadcast_add(&positions)?)?;
        let mask = padding
            .map(|padding| attention_mask(padding, tokens, ids.device()))
            .transpose()?;
        for layer in &self.layers {
            states = layer.forward(&states, mask.as_ref(), &self.config)?;
        }
        Ok(states)
    }
}

/// Memory of a tensor.
fn bytes(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

/// Rows from the first position on, with the row of token type 0 added.
fn load_positions(config: &BertConfig, weights: &Weights) -> Result<Tensor> {
    let name = "embeddings.position_embeddings.weight";
    let hidden = config.hidden_size;
    let first = config.first_position();
    let rows = config.max_position_embeddings;
    let positions = weights.take(name, &[rows, hidden])?;
    let used = positions.narrow(0, first, rows - first);
    let joined = if config.type_vocab_size == 0 {
        used
    } else {
        let types = "embeddings.token_type_embeddings.weight";
        let types = weights.take(types, &[config.type_vocab_size, hidden])?;
        used.and_then(|used| used.broadcast_add(&types.narrow(0, 0, 1)?))
    };
    joined.map_err(|error| weights.bad(name, error.to_string()))
}

/// 0 for tokens and a number that no score outweighs for padding: (texts, 1, 1, tokens).
fn attention_mask(
    padding: &[Range<usize>],
    tokens: usize,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let mut mask = vec![0f32; padding.len() * tokens];
    for (row, places) in mask.chunks_mut(tokens.max(1)).zip(padding) {
        row[places.clone()].fill(f32::MIN);
    }
    Tensor::from_vec(mask, (padding.len(), 1, 1, tokens), device)
}

impl Layer {
    fn load(config: &BertConfig, weights: &Weights, index: usize) -> Result<Self> {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let hidden = config.hidden_size;
        let inner = config.intermediate_size;
        let attention =
            ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        Ok(Self {
            query_key_value: Linear::load(weights, &attention, hidden, hidden)?,
            attention_output: Linear::load(
                weights,
                &[name("attention.output.dense")],
                hidden,
                hidden,
            )?,
            attention_norm: LayerNorm::load(config, weights, &name("attention.output.LayerNorm"))?,
            intermediate: Linear::load(weights, &[name("intermediate.dense")], hidden, inner)?,
            output: Linear::load(weights, &[name("output.dense")], inner, hidden)?,
            output_norm: LayerNorm::load(config, weights, &name("output.LayerNorm"))?,
        })
    }

    fn bytes(&self) -> usize {
        let maps = [
            &self.query_key_value,
            &self.attention_output,
            &self.intermediate,
            &self.output,
        ];
        let maps: usize = maps.into_iter().map(Linear::bytes).sum();
        maps + self.attention_norm.bytes() + self.output_norm.bytes()
    }

    fn forward(
        &self,
        states: &Tensor,
        mask: Option<&Tensor>,
        config: &BertConfig,
    ) -> candle_core::Result<Tensor> {
        let mixed = self.attend(states, mask, config)?;
        let states = self
            .attention_norm
            .forward(&(self.attention_output.forward(&mixed)? + states)?)?;
        let inner = self.intermediate.forward(&states)?;
        let inner = match config.hidden_act.as_str() {
            "relu" => inner.relu()?,
            "gelu" => gelu(&inner)?,
            _ => inner.gelu()?,
        };
        self.output_norm
            .forward(&(self.output.forward(&inner)? + states)?)
    }

    fn attend(
        &self,
        states: &Tensor,
        mask: Option<&Tensor>,
        config: &BertConfig,
    ) -> candle_core::Result<Tensor> {
        let (texts, tokens, hidden) = states.dims3()?;
        let heads = config.num_attention_heads;
        let width = hidden / heads;
        let joined = self.query_key_value.forward(states)?; // (texts, tokens, 3 * hidden)
        let split = joined.reshape((texts, tokens, 3, heads, width))?;
        let split = split.permute((2, 0, 3, 1, 4))?.contiguous()?; // (3, texts, heads, tokens, width)
        let part = |index: usize| split.get(index)?.reshape((texts * heads, tokens, width));
        let queries = (part(0)? * (1.0 / (width as f64).sqrt()))?;
        let mut scores = queries.matmul(&part(1)?.t()?)?; // (texts * heads, tokens, tokens)
        if let Some(mask) = mask {
            scores = scores
                .reshape((texts, heads, tokens, tokens))?
                .broadcast_add(mask)?;
            scores = scores.reshape((texts * heads, tokens, tokens))?;
        }
        let mixed = candle_nn::ops::softmax_last_dim(&scores)?.matmul(&part(2)?)?;
        let mixed = mixed
            .reshape((texts, heads, tokens, width))?
            .transpose(1, 2)?;
        mixed.contiguous()?.reshape((texts, tokens, hidden))
    }
}

impl Linear {
    /// Joins maps of one input, each with `outputs` outputs.
    fn load(weights: &Weights, names: &[String], inputs: usize, outputs: usize) -> Result<Self> {
        let mut matrices = Vec::new();
        let mut biases = Vec::new();
        for name in names {
            matrices.push(weights.take(&format!("{name}.weight"), &[outputs, inputs])?);
            biases.push(weights.take(&format!("{name}.bias"), &[outputs])?);
        }
        let joined = Tensor::cat(&matrices, 0).and_then(|matrix| {
            Ok(Self {
                matrix: matrix.t()?,
                bias: Tensor::cat(&biases, 0)?,
            })
        });
        joined.map_err(|error| weights.bad(&names.join(", "), error.to_string()))
    }

    fn bytes(&self) -> usize {
        bytes(&self.matrix) + bytes(&self.bias)
    }

    fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let inputs = input.dim(D::Minus1)?;
        let mut shape = input.dims().to_vec();
        let flat = input.reshape(((), inputs))?.matmul(&self.matrix)?;
        if let Some(last) = shape.last_mut() {
            *last = flat.dim(1)?;
        }
        flat.broadcast_add(&self.bias)?.reshape(shape)
    }
}

impl LayerNorm {
    fn load(config: &BertConfig, weights: &Weights, name: &str) -> Result<Self> {
        Ok(Self {
            scale: weights.take(&format!("{name}.weight"), &[config.hidden_size])?,
            shift: weights.take(&format!("{name}.bias"), &[config.hidden_size])?,
            epsilon: config.layer_norm_eps as f32,
        })
    }

    fn bytes(&self) -> usize {
        bytes(&self.scale) + bytes(&self.shift)
    }

    fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        candle_nn::ops::layer_norm(input, &self.scale, &self.shift, self.epsilon)
    }
}
