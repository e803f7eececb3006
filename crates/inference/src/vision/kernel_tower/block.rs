//! A block: attention among all patches of the frame, then the feed-forward part, each of normed states
//! and added to the states.

use longtrainer_kernels::{Team, add, gelu_tanh, rounded_segment_attention, segment_attention};

use super::super::VisionConfig;
use super::super::checkpoint::names::of_block;
use super::linear::{Linear, Loader};
use super::norm::Norm;
use super::scratch::Scratch;
use crate::Result;
use crate::embedder::Precision;
use crate::error::ComputeError;
use crate::rows::{ROWS_A_TASK, try_rows};

/// A block.
#[derive(Debug)]
pub(super) struct Block {
    norm1: Norm,
    query_key_value: Linear,
    attention_output: Linear,
    norm2: Norm,
    up: Linear,
    down: Linear,
    heads: usize,
    head_dim: usize,
    /// Whether attention may round: it does where the maps do.
    rounded: bool,
}

impl Block {
    pub(super) fn load(loader: Loader<'_>, block: usize) -> Result<Self> {
        let config = loader.checkpoint.config();
        let VisionConfig { hidden, inner, .. } = *config;
        let name = |part: &str| of_block(block, part);
        let precision = loader.precision;
        let additions = loader.with(precision.of_additions());
        let others = loader.with(precision.of_others());
        let attention = ["q_proj", "k_proj", "v_proj"];
        let attention = attention.map(|part| name(&format!("self_attn.{part}")));
        Ok(Self {
            norm1: Norm::load(loader.checkpoint, &name("layer_norm1"))?,
            query_key_value: others.maps(&attention, hidden, hidden)?,
            attention_output: additions.maps(&[name("self_attn.out_proj")], hidden, hidden)?,
            norm2: Norm::load(loader.checkpoint, &name("layer_norm2"))?,
            up: others.maps(&[name("mlp.fc1")], hidden, inner)?,
            down: additions.maps(&[name("mlp.fc2")], inner, hidden)?,
            heads: config.heads,
            head_dim: config.head_dim(),
            rounded: precision != Precision::F32,
        })
    }

    /// From states to states, in place.
    pub(super) fn forward(&self, team: &Team, scratch: &mut Scratch) -> Result<(), ComputeError> {
        self.norm1
            .forward(team, &scratch.states, &mut scratch.normed)?;
        self.attend(team, scratch)?;
        self.add(team, scratch)?;
        self.norm2
            .forward(team, &scratch.states, &mut scratch.normed)?;
        self.feed_forward(team, scratch)?;
        self.add(team, scratch)
    }

    /// From normed states to what attention adds to the states.
    fn attend(&self, team: &Team, scratch: &mut Scratch) -> Result<(), ComputeError> {
        let Scratch {
            normed,
            joined,
            out,
            rounded,
            ..
        } = scratch;
        self.query_key_value
            .forward(team, normed, rounded, joined)?;
        // The normed states have been used: what is mixed of them takes their place.
        let attention = match self.rounded {
            true => rounded_segment_attention,
            false => segment_attention,
        };
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        let patches = normed.len() / (self.heads * self.head_dim);
        let lengths = [patches];
        attention(
            team,
            joined,
            self.heads,
            self.head_dim,
            &lengths,
            scale,
            normed,
        )?;
        self.attention_output.forward(team, normed, rounded, out)
    }

    /// From normed states to what the feed-forward part adds to the states.
    fn feed_forward(&self, team: &Team, scratch: &mut Scratch) -> Result<(), ComputeError> {
        let Scratch {
            normed,
            joined,
            out,
            rounded,
            ..
        } = scratch;
        self.up.forward(team, normed, rounded, joined)?;
        team.for_rows(joined, self.up.outputs(), ROWS_A_TASK, |_, inner| {
            gelu_tanh(inner);
        });
        self.down.forward(team, joined, rounded, out)
    }

    /// Adds what a part has computed to the states.
    fn add(&self, team: &Team, scratch: &mut Scratch) -> Result<(), ComputeError> {
        let (width, out) = (self.heads * self.head_dim, &scratch.out);
        try_rows(team, &mut scratch.states, width, |first, states| {
            add(states, &out[first * width..][..states.len()])
        })
    }

    /// Memory of the weights.
    pub(super) fn bytes(&self) -> usize {
        let maps = [
            &self.query_key_value,
            &self.attention_output,
            &self.up,
            &self.down,
        ];
        let maps: usize = maps.into_iter().map(Linear::bytes).sum();
        maps + self.norm1.bytes() + self.norm2.bytes()
    }
}
