//! A llama-family decoder over Candle's operators, with the weights of a GGUF file.
//!
//! One code path runs Llama (SmolLM2 and Mistral among them), Qwen2, Qwen3, Gemma 1 to 3 and Phi-3
//! and Phi-4: they differ in biases, norms, the activation, what a window means and how rotary pairs
//! are laid out, and `config` says in what. Blocks are read in order of use; a tensor of the file that no block asked for is an error, because a model that is only
//! partly understood gives wrong answers, not slower ones.

mod adapter;
mod architecture;
mod attention;
mod cache;
mod chosen;
mod compute;
mod config;
mod feed_forward;
mod fused;
mod looks;
mod norm;
mod outcome;
mod pass;
mod pool;
mod projection;
mod rotary;
mod rotary_config;
mod sight;
mod step;
mod weights;
mod window;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::Result;
#[cfg(test)]
use crate::engine::Part;
use crate::error::ComputeError;
use crate::model_file::ModelFile;

pub(crate) use adapter::CandleAdapter;
pub(crate) use architecture::{Activation, rotary_layout};
use attention::Attention;
pub(crate) use cache::KvCache;
pub(crate) use compute::Compute;
pub(crate) use config::DecoderConfig;
use feed_forward::FeedForward;
use fused::Fused;
use norm::{RmsNorm, normed_by};
use pool::{PageShape, Pool};
use projection::Projection;
pub(crate) use rotary::{AngleTable, AngleTables, Rotary, Span};
use step::Step;
pub(crate) use weights::{Weights, kernel_format};

#[derive(Debug)]
struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    attention_post_norm: Option<RmsNorm>,
    feed_forward_norm: RmsNorm,
    feed_forward: FeedForward,
    feed_forward_post_norm: Option<RmsNorm>,
}

/// The decoder. Its weights never change; what a request adds is in its [`KvCache`].
#[derive(Debug)]
pub(crate) struct Decoder {
    config: DecoderConfig,
    embedding: Tensor,
    rotary: Rotary,
    blocks: Vec<Block>,
    output_norm: RmsNorm,
    output: Projection,
    compute: Compute,
    /// Whether what requests need of the logits is found on the device.
    chooses: bool,
    device: Device,
    fused: Fused,
    pool: Arc<Pool>,
}

impl Decoder {
    /// Reads the weights of a file, to compute in what suits them and the device.
    pub(crate) fn from_gguf(file: &ModelFile, device: &Device) -> Result<Self> {
        Self::computing_in(file, device, Compute::suiting(file, device))
    }

    /// Reads the weights of a file.
    pub(crate) fn computing_in(
        file: &ModelFile,
        device: &Device,
        compute: Compute,
    ) -> Result<Self> {
        let config = DecoderConfig::from_gguf(file)?;
        let weights = Weights::new(file, device).computing_in(compute);
        // The type of the cache is half as large as that of a quantised model's states.
        let table = [config.vocabulary, config.hidden];
        let embedding = weights.dense_as("token_embd.weight", &table, compute.cache)?;
        let rotary = Rotary::load(&config, &weights)?;
        let blocks = (0..config.blocks)
            .into_par_iter()
            .map(|index| Block::load(&config, &weights, index))
            .collect::<Result<Vec<Block>>>()?;
        let output_norm = RmsNorm::load(&config, &weights, "output_norm.weight", config.hidden)?;
        let output = load_output(&config, &weights, &embedding)?;
        weights.check_all_used()?;
        let pool = Pool::new(PageShape::new(&config, compute.cache, device));
        Ok(Self {
            config,
            embedding,
            rotary,
            blocks,
            output_norm,
            output,
            compute,
            // On the processor the logits are where tokens are chosen.
            chooses: !device.is_cpu(),
            device: device.clone(),
            fused: Fused::on(device),
            pool,
        })
    }

    /// The same, finding what requests need of the logits on its device, as cards do, or nowhere.
    #[cfg(test)]
    pub(crate) fn that_chooses(mut self, chooses: bool) -> Self {
        self.chooses = chooses;
        self
    }

    /// The same, with what lies between products done by the plain versions of what a card does in one.
    #[cfg(test)]
    pub(crate) fn that_fuses(mut self) -> Self {
        self.fused = Fused::on_processor();
        self
    }

    /// Whether what lies between products is done in one.
    #[cfg(test)]
    pub(crate) fn fuses(&self) -> bool {
        self.fused.is_on()
    }

    /// What the file says of the model.
    #[cfg(test)]
    pub(crate) fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Where it computes.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// An empty cache for one request of at most `tokens` tokens.
    pub(crate) fn new_cache(&self, tokens: usize) -> KvCache {
        let limit = self.config.context_length.min(tokens);
        KvCache::new(&self.pool, limit, self.rotary.kind(limit))
    }

    /// By which angles the keys of a request of at most `tokens` tokens are turned.
    pub(crate) fn cache_kind(&self, tokens: usize) -> u64 {
        self.rotary.kind(self.config.context_length.min(tokens))
    }

    /// Memory of the keys and values of a block of tokens.
    pub(crate) fn block_bytes(&self) -> usize {
        self.pool.shape().page_bytes()
    }

    /// Whether products and states are in bfloat16.
    pub(crate) fn computes_in_bf16(&self) -> bool {
        self.compute.states == DType::BF16
    }

    /// Memory that all caches and blocks take.
    pub(crate) fn cache_bytes(&self) -> usize {
        self.pool.bytes()
    }

    /// Reads tokens that follow those in the cache, and returns the logits after the last of them.
    #[cfg(test)]
    pub(crate) fn forward(
        &self,
        tokens: &[u32],
        cache: &mut KvCache,
    ) -> candle_core::Result<Vec<f32>> {
        self.logits(tokens, cache, tokens.len().saturating_sub(1))
    }

    /// Reads tokens and returns the logits after those from number `first` on: (tokens, vocabulary).
    #[cfg(test)]
    pub(crate) fn logits(
        &self,
        tokens: &[u32],
        cache: &mut KvCache,
        first: usize,
    ) -> candle_core::Result<Vec<f32>> {
        self.read_parts(&mut [Part::new(tokens, cache, tokens.len() - first)])
    }

    /// Memory of the weights that each token reads.
    pub(crate) fn weight_bytes(&self) -> usize {
        let blocks = self
            .blocks
            .iter()
            .map(|block| block.attention.weight_bytes() + block.feed_forward.weight_bytes());
        blocks.sum::<usize>() + self.output.weight_bytes()
    }

    /// Reads tokens for the cache alone: nobody needs logits in the middle of a prompt.
    #[cfg(test)]
    pub(crate) fn read(&self, tokens: &[u32], cache: &mut KvCache) -> candle_core::Result<()> {
        self.hidden(&mut [Part::new(tokens, cache, 0)]).map(drop)
    }
}

impl Block {
    fn load(config: &DecoderConfig, weights: &Weights<'_>, index: usize) -> Result<Self> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let norm = |part: &str| RmsNorm::load(config, weights, &name(part), config.hidden);
        let post_norm = |part: &str| config.has_post_norms.then(|| norm(part)).transpose();
        Ok(Self {
            attention_norm: norm("attn_norm.weight")?,
            attention: Attention::load(config, weights, index, &name)?,
            attention_post_norm: post_norm("post_attention_norm.weight")?,
            feed_forward_norm: norm("ffn_norm.weight")?,
            feed_forward: FeedForward::load(config, weights, &name)?,
            feed_forward_post_norm: post_norm("post_ffw_norm.weight")?,
        })
    }

    /// (tokens, hidden) -> (tokens, hidden)
    fn forward(
        &self,
        hidden: Tensor,
        step: &Step<'_>,
        index: usize,
    ) -> candle_core::Result<Tensor> {
        let normed = self.attention_norm.forward(&hidden)?;
        let mixed = self.attention.forward(&normed, step, index)?;
        let mixed = normed_by(&self.attention_post_norm, mixed)?;
        let norm = &self.feed_forward_norm;
        let (hidden, normed) = step.fused().added_and_normed(&hidden, &mixed, norm)?;
        let inner = self.feed_forward.forward(&normed, step, index)?;
        hidden + normed_by(&self.feed_forward_post_norm, inner)?
    }
}

fn failed(error: ComputeError) -> candle_core::Error {
    candle_core::Error::msg(error)
}

/// Some models have a matrix of their own for the logits, others use the embedding again.
fn load_output(
    config: &DecoderConfig,
    weights: &Weights<'_>,
    embedding: &Tensor,
) -> Result<Projection> {
    if weights.has("output.weight") {
        return weights.projection(&[("output".to_owned(), config.vocabulary)], config.hidden);
    }
    if weights.keeps_quantised("token_embd.weight") {
        return weights.projection(
            &[("token_embd".to_owned(), config.vocabulary)],
            config.hidden,
        );
    }
    weights.tied_projection(embedding)
}

#[cfg(test)]
mod family_tests;
#[cfg(test)]
mod made_up_tests;
#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;
