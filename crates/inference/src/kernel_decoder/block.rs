//! A block: attention and the feed-forward part, each behind a norm and added to what came in.

use longtrainer_kernels::{Team, add};

use crate::Result;
use crate::error::ComputeError;
use crate::rows::try_rows;

use super::Loader;
use super::attention::Attention;
use super::feed_forward::FeedForward;
use super::norm::RmsNorm;
use super::scratch::Scratch;
use super::step::Step;

/// A block of the decoder.
#[derive(Debug)]
pub(super) struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    attention_post_norm: Option<RmsNorm>,
    feed_forward_norm: RmsNorm,
    feed_forward: FeedForward,
    feed_forward_post_norm: Option<RmsNorm>,
}

impl Block {
    /// Reads block number `index`.
    pub(super) fn load(loader: &Loader<'_>, index: usize) -> Result<Self> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let norm = |part: &str| loader.norm(&name(part), loader.config.hidden);
        let has_post_norms = loader.config.has_post_norms;
        let post_norm = |part: &str| has_post_norms.then(|| norm(part)).transpose();
        Ok(Self {
            attention_norm: norm("attn_norm.weight")?,
            attention: Attention::load(loader, index, &name)?,
            attention_post_norm: post_norm("post_attention_norm.weight")?,
            feed_forward_norm: norm("ffn_norm.weight")?,
            feed_forward: FeedForward::load(loader, &name)?,
            feed_forward_post_norm: post_norm("post_ffw_norm.weight")?,
        })
    }

    /// Passes the tokens' states through the block.
    pub(super) fn forward(
        &self,
        team: &Team,
        step: &mut Step<'_>,
        index: usize,
        scratch: &mut Scratch,
    ) -> Result<(), ComputeError> {
        self.attention_norm
            .forward(team, &scratch.states, &mut scratch.normed)?;
        self.attention.forward(team, step, index, scratch)?;
        self.add_output(team, &self.attention_post_norm, scratch)?;
        self.feed_forward_norm
            .forward(team, &scratch.states, &mut scratch.normed)?;
        self.feed_forward.forward(team, step, index, scratch)?;
        self.add_output(team, &self.feed_forward_post_norm, scratch)
    }

    /// Adds what a part of the block put out to the states, normed in models that do.
    fn add_output(
        &self,
        team: &Team,
        post_norm: &Option<RmsNorm>,
        scratch: &mut Scratch,
    ) -> Result<(), ComputeError> {
        let Scratch {
            states,
            normed,
            out,
            ..
        } = scratch;
        match post_norm {
            Some(norm) => {
                norm.forward(team, out, normed)?;
                add_rows(team, states, normed, self.width())
            }
            None => add_rows(team, states, out, self.width()),
        }
    }

    /// Memory of the matrices.
    pub(super) fn weight_bytes(&self) -> usize {
        self.attention.weight_bytes() + self.feed_forward.weight_bytes()
    }

    fn width(&self) -> usize {
        self.attention_norm.scale.len()
    }
}

/// Adds `addition` to `states`, both of rows of `width`.
fn add_rows(
    team: &Team,
    states: &mut [f32],
    addition: &[f32],
    width: usize,
) -> Result<(), ComputeError> {
    try_rows(team, states, width, |first, states| {
        add(
            states,
            &addition[first * width..first * width + states.len()],
        )
    })
}
