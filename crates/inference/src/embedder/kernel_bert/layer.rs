//! A layer of the encoder: attention within each text, then the feed-forward part.

use longtrainer_kernels::{Team, gelu, gelu_tanh, relu, segment_attention};

use crate::Result;
use crate::error::ComputeError;
use crate::rows::ROWS_A_TASK;

use super::super::folder::BertConfig;
use super::super::options::Precision;
use super::super::weights::Weights;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::scratch::Scratch;

/// A layer.
#[derive(Debug)]
pub(super) struct Layer {
    query_key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    activation: Activation,
    heads: usize,
    head_dim: usize,
}

#[derive(Debug, Clone, Copy)]
enum Activation {
    Gelu,
    GeluTanh,
    Relu,
}

impl Layer {
    pub(super) fn load(
        config: &BertConfig,
        weights: &Weights,
        team: &Team,
        precision: Precision,
        index: usize,
    ) -> Result<Self> {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |precision, names: &[String], inputs, outputs| {
            Linear::load(weights, team, precision, names, inputs, outputs)
        };
        let (additions, others) = (precision.of_additions(), precision.of_others());
        let attention =
            ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        Ok(Self {
            query_key_value: linear(others, &attention, hidden, hidden)?,
            attention_output: linear(additions, &[name("attention.output.dense")], hidden, hidden)?,
            attention_norm: LayerNorm::load(config, weights, &name("attention.output.LayerNorm"))?,
            intermediate: linear(others, &[name("intermediate.dense")], hidden, inner)?,
            output: linear(additions, &[name("output.dense")], inner, hidden)?,
            output_norm: LayerNorm::load(config, weights, &name("output.LayerNorm"))?,
            activation: match config.hidden_act.as_str() {
                "gelu" => Activation::Gelu,
                "relu" => Activation::Relu,
                _ => Activation::GeluTanh,
            },
            heads: config.num_attention_heads,
            head_dim: hidden / config.num_attention_heads,
        })
    }

    /// Memory of the weights.
    pub(super) fn bytes(&self) -> usize {
        let maps = [
            &self.query_key_value,
            &self.attention_output,
            &self.intermediate,
            &self.output,
        ];
        let maps: usize = maps.into_iter().map(Linear::bytes).sum();
        maps + self.attention_norm.bytes() + self.output_norm.bytes()
    }

    /// From states to states, in place.
    pub(super) fn forward(
        &self,
        team: &Team,
        lengths: &[usize],
        scratch: &mut Scratch,
    ) -> Result<(), ComputeError> {
        self.attend(team, lengths, scratch)?;
        self.attention_norm
            .add_and_norm(team, &mut scratch.states, &scratch.out)?;
        self.feed_forward(team, scratch)?;
        self.output_norm
            .add_and_norm(team, &mut scratch.states, &scratch.out)
    }

    /// From states to what attention adds to them.
    fn attend(
        &self,
        team: &Team,
        lengths: &[usize],
        scratch: &mut Scratch,
    ) -> Result<(), ComputeError> {
        let Scratch {
            states,
            joined,
            mixed,
            out,
            rows,
        } = scratch;
        self.query_key_value.forward(team, states, rows, joined)?;
        mixed.resize(states.len(), 0.0);
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        segment_attention(
            team,
            joined,
            self.heads,
            self.head_dim,
            lengths,
            scale,
            mixed,
        )?;
        self.attention_output.forward(team, mixed, rows, out)
    }

    /// From states to what the feed-forward part adds to them.
    fn feed_forward(&self, team: &Team, scratch: &mut Scratch) -> Result<(), ComputeError> {
        let Scratch {
            states,
            joined,
            out,
            rows,
            ..
        } = scratch;
        self.intermediate.forward(team, states, rows, joined)?;
        let width = self.intermediate.outputs();
        team.for_rows(joined, width, ROWS_A_TASK, |_, inner| {
            self.activation.apply(inner)
        });
        self.output.forward(team, joined, rows, out)
    }
}

impl Activation {
    /// Applies the function to each value.
    fn apply(self, values: &mut [f32]) {
        match self {
            Self::Gelu => gelu(values),
            Self::GeluTanh => gelu_tanh(values),
            Self::Relu => relu(values),
        }
    }
}
