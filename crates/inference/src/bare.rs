//! A text model without its engine, tokenizer or template: tokens in, logits out.
//!
//! This is what a benchmark times and what a comparison with another implementation reads. Chats
//! go through [`GgufTextModel`](crate::GgufTextModel).

use std::path::Path;

use crate::decoder::DecoderConfig;
use crate::engine::{BLOCK_TOKENS, LanguageModel, Needed, Part, Scores};
use crate::error::{ComputeError, compute_failed};
use crate::model_file::ModelFile;
use crate::sampling::likeliest;
use crate::synthetic::{TextShape, WeightType};
use crate::text_model::{Backend, TextModelOptions};
use crate::{Error, Result};

/// A text model and one or more contexts: the tokens that each has read.
pub struct BareTextModel {
    name: String,
    config: DecoderConfig,
    is_quantised: bool,
    multiplies_bf16: bool,
    context: Box<dyn Context + Send>,
}

/// A model with the caches of some contexts.
trait Context {
    fn clear(&mut self, contexts: usize);
    /// Reads tokens for the caches alone, in every context the same.
    fn skip(&mut self, tokens: &[u32]) -> Result<(), ComputeError>;
    /// Logits after the tokens from number `first` on, in the first context.
    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Vec<f32>, ComputeError>;
    /// What is needed after one token in each context.
    fn together(&mut self, tokens: &[u32], needed: Needed) -> Result<Vec<Scores>, ComputeError>;
    fn weight_bytes(&self) -> usize;
    fn cache_bytes_a_token(&self) -> usize;
    fn runs_on_kernels(&self) -> bool;
}

impl BareTextModel {
    /// Loads a GGUF file or a folder, to run as [`GgufTextModel`](crate::GgufTextModel) would run it.
    ///
    /// # Errors
    ///
    /// As [`GgufTextModel::load`](crate::GgufTextModel::load).
    pub fn load(name: &str, path: &Path, options: &TextModelOptions) -> Result<Self> {
        let file = ModelFile::open(path)?.with_rounded_weights(options.round_weights);
        Self::of_file(name, &file, options)
    }

    /// Makes a model of this shape up: its answers mean nothing, but take as long as those of any other.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if weights of this type do not fit the shape, and as [`load`](Self::load).
    pub fn made_up(
        name: &str,
        shape: &TextShape,
        weights: WeightType,
        options: &TextModelOptions,
    ) -> Result<Self> {
        Self::of_file(name, &shape.model_file(weights)?, options)
    }

    fn of_file(name: &str, file: &ModelFile, options: &TextModelOptions) -> Result<Self> {
        let config = DecoderConfig::from_gguf(file)?;
        let tokens = options.context_length.unwrap_or(config.context_length);
        let backend = Backend::load(name, file, options)?;
        let multiplies_bf16 =
            matches!(&backend, Backend::Candle(decoder) if decoder.computes_in_bf16());
        let context: Box<dyn Context + Send> = match backend {
            Backend::Kernels(decoder) => Box::new(ModelContext {
                caches: vec![decoder.new_cache(tokens)],
                model: *decoder,
                tokens,
                runs_on_kernels: true,
            }),
            Backend::Candle(decoder) => Box::new(ModelContext {
                caches: vec![decoder.new_cache(tokens)],
                model: *decoder,
                tokens,
                runs_on_kernels: false,
            }),
        };
        Ok(Self {
            name: name.to_owned(),
            is_quantised: is_quantised(file),
            multiplies_bf16,
            config,
            context,
        })
    }

    /// Tokens of the vocabulary: how many logits there are.
    pub fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    /// Tokens that the context can hold.
    pub fn context_length(&self) -> usize {
        self.config.context_length
    }

    /// Memory of the weights that each token reads, in bytes.
    pub fn weight_bytes(&self) -> usize {
        self.context.weight_bytes()
    }

    /// Weights of the blocks' matrices: each is multiplied once for a token.
    pub fn block_parameters(&self) -> usize {
        let config = &self.config;
        let queries = config.heads * config.head_dim;
        let keys = config.kv_heads * config.head_dim;
        let attention = config.hidden * (2 * queries + 2 * keys);
        config.blocks * (attention + 3 * config.hidden * config.feed_forward)
    }

    /// Memory of the keys and values of one token, in bytes: what each later token reads of it.
    pub fn cache_bytes_a_token(&self) -> usize {
        self.context.cache_bytes_a_token()
    }

    /// Whether its products are in bfloat16, as those of models in 16 bits are on cards.
    pub fn multiplies_bf16(&self) -> bool {
        self.multiplies_bf16
    }

    /// Whether its products are in whole numbers: the kernels' are where the weights are quantised.
    pub fn multiplies_integers(&self) -> bool {
        self.is_quantised && self.runs_on_kernels()
    }

    /// Whether our kernels run it, not Candle.
    pub fn runs_on_kernels(&self) -> bool {
        self.context.runs_on_kernels()
    }

    /// Forgets all tokens; there is one context again.
    pub fn clear(&mut self) {
        self.clear_to(1);
    }

    /// Forgets all tokens, for so many contexts, one at least.
    pub fn clear_to(&mut self, contexts: usize) {
        self.context.clear(contexts.max(1));
    }

    /// Reads tokens after those read before, in every context, for the tokens that follow them: nobody needs logits
    /// in the middle of a prompt.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn skip(&mut self, tokens: &[u32]) -> Result<()> {
        let skipped = self.context.skip(tokens);
        skipped.map_err(|source| self.failed(source))
    }

    /// Reads tokens after those read before and returns the logits after the last.
    ///
    /// # Errors
    ///
    /// [`Error::Compute`] when there are no tokens, more than the context has room for, or one that
    /// is not in the vocabulary.
    pub fn read(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.logits(tokens, tokens.len().saturating_sub(1))
    }

    /// Reads tokens and returns the logits after each: (tokens, vocabulary).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_all(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.logits(tokens, 0)
    }

    /// Reads one token in each context and returns the logits after each: (contexts, vocabulary).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and if there are not as many tokens as contexts.
    pub fn read_together(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let scores = self.context.together(tokens, Needed::Logits);
        let scores = scores.map_err(|source| self.failed(source))?;
        let rows = scores.into_iter().map(|scores| match scores {
            Scores::Logits(logits) => Ok(logits),
            Scores::Greatest(_) => Err(self.failed("only some logits were given".into())),
        });
        Ok(rows.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Reads one token in each context and returns the likeliest after each, as greedy chats choose it: a card copies
    /// no logits for that.
    ///
    /// # Errors
    ///
    /// As [`read_together`](Self::read_together).
    pub fn choose_together(&mut self, tokens: &[u32]) -> Result<Vec<u32>> {
        let scores = self.context.together(tokens, Needed::Greatest(1));
        let scores = scores.map_err(|source| self.failed(source))?;
        let tokens = scores.iter().map(|scores| match scores {
            Scores::Logits(logits) => likeliest(logits),
            Scores::Greatest(rows) => rows.concat().first().map_or(0, |(token, _)| *token),
        });
        Ok(tokens.collect())
    }

    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Vec<f32>> {
        let logits = self.context.logits(tokens, first);
        logits.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: ComputeError) -> Error {
        compute_failed(&self.name, source)
    }
}

/// Whether the first block's last matrix is; where the types are mixed, all are quantised.
fn is_quantised(file: &ModelFile) -> bool {
    let dtype = file.tensor_dtype("blk.0.ffn_down.weight");
    file.rounds_weights() || dtype.is_some_and(|dtype| dtype.block_size() > 1)
}

impl std::fmt::Debug for BareTextModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BareTextModel")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

struct ModelContext<M: LanguageModel> {
    model: M,
    /// One at least.
    caches: Vec<M::Cache>,
    /// That each may come to hold.
    tokens: usize,
    runs_on_kernels: bool,
}

impl<M: LanguageModel> Context for ModelContext<M> {
    fn clear(&mut self, contexts: usize) {
        let cache = || self.model.new_cache(self.tokens);
        self.caches = std::iter::repeat_with(cache).take(contexts).collect();
    }

    fn skip(&mut self, tokens: &[u32]) -> Result<(), ComputeError> {
        let parts = self.caches.iter_mut();
        let mut parts: Vec<_> = parts.map(|cache| Part::new(tokens, cache, 0)).collect();
        self.model.step(&mut parts).map(drop)
    }

    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Vec<f32>, ComputeError> {
        let asked = tokens.len().saturating_sub(first);
        let cache = self.caches.first_mut().ok_or("there is no context")?;
        self.model.step_one(tokens, cache, asked)
    }

    fn together(&mut self, tokens: &[u32], needed: Needed) -> Result<Vec<Scores>, ComputeError> {
        if tokens.len() != self.caches.len() {
            let contexts = self.caches.len();
            return Err(format!(
                "{} tokens are not one for each of {contexts} contexts",
                tokens.len()
            )
            .into());
        }
        let parts = tokens.chunks(1).zip(&mut self.caches);
        let mut parts: Vec<_> = parts
            .map(|(token, cache)| Part {
                needed,
                ..Part::new(token, cache, 1)
            })
            .collect();
        self.model.scores(&mut parts)
    }

    fn weight_bytes(&self) -> usize {
        self.model.weight_bytes()
    }

    fn cache_bytes_a_token(&self) -> usize {
        self.model.block_bytes() / BLOCK_TOKENS
    }

    fn runs_on_kernels(&self) -> bool {
        self.runs_on_kernels
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::GgmlDType;

    use super::*;
    use crate::tiny::{self, TinyModel};

    fn load(model: &TinyModel, dtype: GgmlDType) -> BareTextModel {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        model.write_as(&path, dtype);
        BareTextModel::load("tiny", &path, &TextModelOptions::default()).unwrap()
    }

    #[test]
    fn parameters_are_those_of_the_blocks_matrices() {
        for architecture in ["llama", "qwen2", "qwen3", "gemma3", "phi3"] {
            let model = TinyModel::new(architecture);
            let of_blocks = model
                .tensors
                .iter()
                .filter(|(name, tensor)| name.starts_with("blk.") && tensor.rank() == 2);
            let counted: usize = of_blocks.map(|(_, tensor)| tensor.elem_count()).sum();
            assert_eq!(load(&model, GgmlDType::F32).block_parameters(), counted);
        }
    }

    #[test]
    fn only_quantised_weights_are_multiplied_in_whole_numbers() {
        let model = TinyModel::new("llama");
        assert!(load(&model, GgmlDType::Q8_0).multiplies_integers());
        assert!(!load(&model, GgmlDType::F16).multiplies_integers());
    }

    #[test]
    fn a_token_caches_a_key_and_a_value_in_each_block() {
        // Its heads are as wide as a register, so that the cache pads none.
        let model = load(&TinyModel::new("qwen3"), GgmlDType::Q8_0);
        let values = 2 * tiny::BLOCKS * tiny::KV_HEADS * TinyModel::head_dim("qwen3");
        assert_eq!(model.cache_bytes_a_token(), values * 2);
    }

    #[test]
    fn contexts_go_on_side_by_side() {
        let mut model = load(&TinyModel::new("llama"), GgmlDType::F32);
        model.clear_to(3);
        model.skip(&[1, 2, 3]).unwrap();
        let together = model.read_together(&[4, 5, 4]).unwrap();
        let rows: Vec<&[f32]> = together.chunks(model.vocabulary()).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0], rows[2]);
        assert_ne!(rows[0], rows[1]);
        let greatest = rows.iter().map(|row| likeliest(row));
        let expected: Vec<u32> = greatest.collect();
        model.clear_to(3);
        model.skip(&[1, 2, 3]).unwrap();
        assert_eq!(model.choose_together(&[4, 5, 4]).unwrap(), expected);
        model.clear();
        model.skip(&[1, 2, 3]).unwrap();
        assert_eq!(model.read(&[5]).unwrap(), rows[1]);
        assert!(model.read_together(&[1, 2]).is_err());
    }

    #[test]
    fn skipped_tokens_are_read() {
        let mut model = load(&TinyModel::new("llama"), GgmlDType::F32);
        let whole = model.read(&[1, 2, 3, 4]).unwrap();
        model.clear();
        model.skip(&[1, 2, 3]).unwrap();
        let with = model.read(&[4]).unwrap();
        model.clear();
        let without = model.read(&[4]).unwrap();
        let distance = |other: &[f32]| -> f32 {
            let pairs = whole.iter().zip(other);
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(distance(&with) < 1e-2, "{}", distance(&with));
        assert!(distance(&without) > 1e-1, "{}", distance(&without));
        assert!(model.skip(&[]).is_err());
    }
}
