//! A llama-family decoder on the processor, over our own kernels.
//!
//! The same models as [`crate::decoder`], which runs them through Candle and is the reference in the
//! tests. Here weights stay quantised, repacked for the processor's integer products; activations
//! are plain slices in buffers that a model keeps; keys and values are cached in half precision. A
//! step is a list of calls into the kernels, each shared out over the threads of one team. The tokens of
//! all requests of a step lie one after another and go through each call together; only attention
//! asks where a request ends.

mod adapter;
mod attention;
mod block;
mod cache;
mod feed_forward;
mod norm;
mod projection;
mod scratch;
#[cfg(test)]
mod soft_tests;
mod step;
#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wide_tests;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use longtrainer_kernels::{CacheShape, PagePool, Team};

use crate::Result;
use crate::decoder::{DecoderConfig, Rotary, Weights, kernel_format};
use crate::engine::Part;
use crate::error::ComputeError;
use crate::model_file::ModelFile;
use crate::rows::try_rows;
use crate::soft::{self, is_soft};

pub(crate) use adapter::KernelAdapter;
use block::Block;
pub(crate) use cache::DecoderCache;
use norm::RmsNorm;
use projection::Projection;
use scratch::Scratch;
use step::Step;

/// What the attention kernels cannot do.
const CAPPED_SCORES: &str = "softly capped scores";

/// The decoder. Its weights never change; what a request adds is in its [`DecoderCache`].
#[derive(Debug)]
pub(crate) struct KernelDecoder {
    config: DecoderConfig,
    team: Arc<Team>,
    embedding: Projection,
    rotary: Rotary,
    /// Of the pages of all caches.
    pool: Arc<PagePool>,
    blocks: Vec<Block>,
    output_norm: RmsNorm,
    /// `None` where the logits use the embedding again.
    output: Option<Projection>,
    scratch: RefCell<Scratch>,
}

impl KernelDecoder {
    /// What keeps a file from being run here: soft-capped scores, or the first matrix of a type
    /// without a kernel.
    pub(crate) fn obstacle(file: &ModelFile, config: &DecoderConfig) -> Option<String> {
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
    pub(crate) fn from_gguf(file: &ModelFile, team: Arc<Team>) -> Result<Self> {
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
            pool: PagePool::new(CacheShape {
                layers: config.blocks,
                kv_heads: config.kv_heads,
                head_dim: config.head_dim,
            }),
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

    /// The threads that it computes on.
    pub(crate) fn team(&self) -> &Arc<Team> {
        &self.team
    }

    /// Where the pages of all caches come from.
    pub(crate) fn pool(&self) -> &PagePool {
        &self.pool
    }

    /// An empty cache for one request of at most `tokens` tokens.
    pub(crate) fn new_cache(&self, tokens: usize) -> DecoderCache {
        let limit = self.config.context_length.min(tokens);
        DecoderCache::new(&self.pool, limit, self.rotary.kind(limit))
    }

    /// By which angles the keys of a request of at most `tokens` tokens are turned.
    pub(crate) fn cache_kind(&self, tokens: usize) -> u64 {
        self.rotary.kind(self.config.context_length.min(tokens))
    }

    /// Reads the tokens of all parts in one pass and returns the logits that they ask for: rows of
    /// the vocabulary, part by part.
    pub(crate) fn step(
        &self,
        parts: &mut [Part<'_, DecoderCache>],
    ) -> Result<Vec<f32>, ComputeError> {
        parts.iter().try_for_each(Part::check)?;
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = wanted_rows(parts);
        let scratch = &mut *self.scratch.borrow_mut();
        self.pass(parts, scratch)?;
        self.logits(&wanted, scratch)
    }

    /// Logits after some rows of the hidden states.
    fn logits(
        &self,
        wanted: &[Range<usize>],
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>, ComputeError> {
        let Scratch {
            states,
            normed,
            out,
            rows,
            ..
        } = scratch;
        let hidden = self.config.hidden;
        out.clear();
        for range in wanted {
            out.extend_from_slice(&states[range.start * hidden..range.end * hidden]);
        }
        let mut logits = Vec::new();
        if out.is_empty() {
            return Ok(logits);
        }
        self.output_norm.forward(&self.team, out, normed)?;
        self.output()
            .forward(&self.team, normed, rows, &mut logits)?;
        if let Some(cap) = self.config.logit_cap {
            cap_softly(&self.team, &mut logits, self.config.vocabulary, cap)?;
        }
        Ok(logits)
    }

    fn output(&self) -> &Projection {
        self.output.as_ref().unwrap_or(&self.embedding)
    }

    /// One pass through the blocks; leaves the hidden states in the scratch. If it fails, the caches
    /// are as they were.
    fn pass(
        &self,
        parts: &mut [Part<'_, DecoderCache>],
        scratch: &mut Scratch,
    ) -> Result<(), ComputeError> {
        self.look_up(parts, &mut scratch.states)?;
        let mut step = Step::begin(parts, &self.rotary)?;
        for (index, block) in self.blocks.iter().enumerate() {
            block.forward(&self.team, &mut step, index, scratch)?;
        }
        step.finish()
    }

    /// The embeddings of the tokens of all parts, and the rows of those that are soft.
    fn look_up(
        &self,
        parts: &[Part<'_, DecoderCache>],
        states: &mut Vec<f32>,
    ) -> Result<(), ComputeError> {
        let hidden = self.config.hidden;
        let tokens = parts.iter().map(|part| part.tokens.len()).sum::<usize>();
        states.resize(tokens * hidden, 0.0);
        let mut states = states.chunks_exact_mut(hidden);
        for part in parts {
            for (token, state) in part.tokens.iter().zip(&mut states) {
                match is_soft(*token) {
                    true => state.copy_from_slice(soft::row(part.soft, *token, hidden)?),
                    false => self.embed(*token, state)?,
                }
            }
        }
        Ok(())
    }

    /// The embedding of a word.
    fn embed(&self, token: u32, state: &mut [f32]) -> Result<(), ComputeError> {
        self.embedding.row(token as usize, state)?;
        if let Some(scale) = self.config.embedding_scale {
            state.iter_mut().for_each(|value| *value *= scale);
        }
        Ok(())
    }
}

/// The rows whose logits are wanted, among the tokens of all parts.
fn wanted_rows(parts: &[Part<'_, DecoderCache>]) -> Vec<Range<usize>> {
    let mut end = 0;
    let last_rows = parts.iter().map(|part| {
        end += part.tokens.len();
        end - part.logits..end
    });
    last_rows.collect()
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

/// Makes each value `x` of rows of `width` `cap * tanh(x / cap)`.
fn cap_softly(team: &Team, values: &mut [f32], width: usize, cap: f32) -> Result<(), ComputeError> {
    try_rows(team, values, width, |_, values| {
        let capped = values.iter_mut();
        capped.for_each(|value| *value = cap * (*value / cap).tanh());
        Ok(())
    })
}
