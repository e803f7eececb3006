//! A llama-family decoder on the processor, over our own kernels.
//!
//! The same models as [`crate::decoder`], which runs them through Candle and is the reference in the
//! tests. Here weights stay quantised, repacked for the processor's integer products; activations
//! are plain slices in buffers that a model keeps; keys and values are cached in half precision. A
//! step is a list of calls into the kernels, each shared out over the threads of one team.

mod attention;
mod cache;
mod feed_forward;
mod projection;
mod scratch;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wide_tests;

use std::cell::RefCell;
use std::sync::Arc;

use longtrainer_kernels::{Team, add, rms_norm};

use crate::Result;
use crate::decoder::{DecoderConfig, Rotary, Weights, kernel_format};
use crate::error::ComputeError;
use crate::gguf::GgufFile;
use crate::rows::try_rows;

use attention::Attention;
pub(crate) use cache::DecoderCache;
use cache::Step;
use feed_forward::FeedForward;
use projection::Projection;
use scratch::Scratch;

/// What the attention kernels cannot do.
const CAPPED_SCORES: &str = "softly capped scores";

/// The decoder. Its weights never change; what a request adds is in its [`DecoderCache`].
#[derive(Debug)]
pub(crate) struct KernelDecoder {
    config: DecoderConfig,
    team: Arc<Team>,
    embedding: Projection,
    rotary: Rotary,
    blocks: Vec<Block>,
    output_norm: RmsNorm,
    /// `None` where the logits use the embedding again.
    output: Option<Projection>,
    scratch: RefCell<Scratch>,
}

#[derive(Debug)]
struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    attention_post_norm: Option<RmsNorm>,
    feed_forward_norm: RmsNorm,
    feed_forward: FeedForward,
    feed_forward_post_norm: Option<RmsNorm>,
}

/// Root mean square norm (Zhang and Sennrich 2019).
#[derive(Debug)]
struct RmsNorm {
    scale: Vec<f32>,
    epsilon: f32,
}

impl KernelDecoder {
    /// What keeps a file from being run here: soft-capped scores, or the first matrix of a type
    /// without a kernel.
    pub(crate) fn obstacle(file: &GgufFile, config: &DecoderConfig) -> Option<String> {
        if config.score_cap.is_some() {
            return Some(CAPPED_SCORES.to_owned());
        }
        let mut names: Vec<&str> = file.tensor_names().collect();
        names.sort_unstable();
        names.into_iter().find_map(|name| {
            let dtype = file.tensor_dtype(name)?;
            let is_matrix = file.tensor_dims(name).is_some_and(|dims| dims.len() > 1);
            (is_matrix && kernel_format(dtype).is_none())
                .then(|| format!("tensor {name} has type {dtype:?}"))
        })
    }

    /// Reads the weights of a file.
    pub(crate) fn from_gguf(file: &GgufFile, team: Arc<Team>) -> Result<Self> {
        let config = DecoderConfig::from_gguf(file)?;
        if config.score_cap.is_some() {
            return Err(file.unsupported("attention", CAPPED_SCORES, "scores without a cap"));
        }
        let weights = Weights::new(file, &candle_core::Device::Cpu);
        let loader = Loader {
            config: &config,
            weights: &weights,
            team: &team,
        };
        let decoder = Self {
            embedding: loader.projection(
                &[("token_embd".to_owned(), config.vocabulary)],
                config.hidden,
            )?,
            rotary: Rotary::load(&config, &weights)?,
            blocks: (0..config.blocks)
                .map(|index| Block::load(&loader, index))
                .collect::<Result<_>>()?,
            output_norm: loader.norm("output_norm.weight", config.hidden)?,
            output: weights
                .has("output.weight")
                .then(|| {
                    loader.projection(&[("output".to_owned(), config.vocabulary)], config.hidden)
                })
                .transpose()?,
            scratch: RefCell::default(),
            team: Arc::clone(&team),
            config: config.clone(),
        };
        weights.check_all_used()?;
        Ok(decoder)
    }

    /// Memory of the weights that each token reads.
    pub(crate) fn weight_bytes(&self) -> usize {
        let blocks = self.blocks.iter().map(Block::weight_bytes).sum::<usize>();
        blocks + self.output().bytes()
    }

    /// An empty cache for one request of at most `tokens` tokens.
    pub(crate) fn new_cache(&self, tokens: usize) -> DecoderCache {
        DecoderCache::new(&self.config, tokens)
    }

    /// Reads tokens that follow those in the cache, and returns the logits after the last of them.
    pub(crate) fn forward(
        &self,
        tokens: &[u32],
        cache: &mut DecoderCache,
    ) -> Result<Vec<f32>, ComputeError> {
        self.logits(tokens, cache, tokens.len().saturating_sub(1))
    }

    /// Reads tokens for the cache alone: nobody needs logits in the middle of a prompt.
    pub(crate) fn read(
        &self,
        tokens: &[u32],
        cache: &mut DecoderCache,
    ) -> Result<(), ComputeError> {
        self.pass(tokens, cache, &mut self.scratch.borrow_mut())
    }

    /// Reads tokens and returns the logits after those from number `first` on: (tokens, vocabulary).
    pub(crate) fn logits(
        &self,
        tokens: &[u32],
        cache: &mut DecoderCache,
        first: usize,
    ) -> Result<Vec<f32>, ComputeError> {
        let mut scratch = self.scratch.borrow_mut();
        self.pass(tokens, cache, &mut scratch)?;
        let Scratch {
            states,
            normed,
            rows,
            ..
        } = &mut *scratch;
        let states = &states[first * self.config.hidden..];
        self.output_norm.forward(&self.team, states, normed)?;
        let output = self.output();
        let mut logits = Vec::new();
        output.forward(&self.team, normed, rows, &mut logits)?;
        if let Some(cap) = self.config.logit_cap {
            cap_softly(&self.team, &mut logits, self.config.vocabulary, cap)?;
        }
        Ok(logits)
    }

    fn output(&self) -> &Projection {
        self.output.as_ref().unwrap_or(&self.embedding)
    }

    /// One pass through the blocks; leaves the hidden states in the scratch. If it fails, the cache
    /// is as it was.
    fn pass(
        &self,
        tokens: &[u32],
        cache: &mut DecoderCache,
        scratch: &mut Scratch,
    ) -> Result<(), ComputeError> {
        let mut step = cache.step(tokens.len(), &self.rotary)?;
        self.look_up(tokens, &mut scratch.states)?;
        for (index, block) in self.blocks.iter().enumerate() {
            block.forward(&self.team, &mut step, index, scratch)?;
        }
        step.finish();
        Ok(())
    }

    fn look_up(&self, tokens: &[u32], states: &mut Vec<f32>) -> Result<(), ComputeError> {
        let hidden = self.config.hidden;
        states.resize(tokens.len() * hidden, 0.0);
        for (token, state) in tokens.iter().zip(states.chunks_exact_mut(hidden)) {
            self.embedding.row(*token as usize, state)?;
        }
        if let Some(scale) = self.config.embedding_scale {
            states.iter_mut().for_each(|value| *value *= scale);
        }
        Ok(())
    }
}

/// What reading the parts of a model takes.
#[derive(Clone, Copy)]
struct Loader<'load> {
    config: &'load DecoderConfig,
    weights: &'load Weights<'load>,
    team: &'load Team,
}

impl Loader<'_> {
    fn norm(&self, name: &str, width: usize) -> Result<RmsNorm> {
        Ok(RmsNorm {
            scale: self.weights.vector(name, width)?,
            epsilon: self.config.norm_epsilon,
        })
    }

    /// Linear maps of one input: names without `.weight` and widths of outputs.
    fn projection(&self, parts: &[(String, usize)], inputs: usize) -> Result<Projection> {
        Projection::load(self.weights, self.team, parts, inputs)
    }
}

impl Block {
    fn load(loader: &Loader<'_>, index: usize) -> Result<Self> {
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

    fn forward(
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
        self.feed_forward.forward(team, scratch)?;
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

    fn weight_bytes(&self) -> usize {
        self.attention.weight_bytes() + self.feed_forward.weight_bytes()
    }

    fn width(&self) -> usize {
        self.attention_norm.scale.len()
    }
}

impl RmsNorm {
    /// Norms rows of as many values as the scale has.
    fn forward(&self, team: &Team, input: &[f32], out: &mut Vec<f32>) -> Result<(), ComputeError> {
        let width = self.scale.len();
        out.resize(input.len(), 0.0);
        try_rows(team, out, width, |first, out| {
            let input = &input[first * width..first * width + out.len()];
            rms_norm(input, &self.scale, self.epsilon, out)
        })
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

/// Makes each value `x` of rows of `width` `cap * tanh(x / cap)`.
fn cap_softly(team: &Team, values: &mut [f32], width: usize, cap: f32) -> Result<(), ComputeError> {
    try_rows(team, values, width, |_, values| {
        let capped = values.iter_mut();
        capped.for_each(|value| *value = cap * (*value / cap).tanh());
        Ok(())
    })
}
