//! A text model without its engine, tokenizer or template: tokens in, logits out.
//!
//! This is what a benchmark times and what a comparison with another implementation reads. Chats
//! go through [`GgufTextModel`](crate::GgufTextModel).

use std::path::Path;

use crate::decoder::{Decoder, DecoderConfig};
use crate::error::ComputeError;
use crate::gguf::GgufFile;
use crate::kernel_decoder::KernelDecoder;
use crate::text_model::{Backend, TextModelOptions};
use crate::{Error, Result};

/// A text model and one context: the tokens that it has read.
pub struct BareTextModel {
    name: String,
    vocabulary: usize,
    context_length: usize,
    context: Box<dyn Context + Send>,
}

/// A model with the cache of one context.
trait Context {
    fn clear(&mut self);
    /// Logits after the tokens from number `first` on.
    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Vec<f32>, ComputeError>;
    fn weight_bytes(&self) -> usize;
    fn runs_on_kernels(&self) -> bool;
}

impl BareTextModel {
    /// Loads a GGUF file, to run as [`GgufTextModel`](crate::GgufTextModel) would run it.
    ///
    /// # Errors
    ///
    /// As [`GgufTextModel::load`](crate::GgufTextModel::load).
    pub fn load(name: &str, path: &Path, options: &TextModelOptions) -> Result<Self> {
        let file = GgufFile::open(path)?;
        let config = DecoderConfig::from_gguf(&file)?;
        let context: Box<dyn Context + Send> = match Backend::load(name, &file, options)? {
            Backend::Kernels(decoder) => Box::new(KernelContext {
                cache: decoder.new_cache(),
                decoder,
            }),
            Backend::Candle(decoder) => Box::new(CandleContext {
                cache: decoder.new_cache(),
                decoder,
            }),
        };
        Ok(Self {
            name: name.to_owned(),
            vocabulary: config.vocabulary,
            context_length: config.context_length,
            context,
        })
    }

    /// Tokens of the vocabulary: how many logits there are.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Tokens that the context can hold.
    pub fn context_length(&self) -> usize {
        self.context_length
    }

    /// Memory of the weights that each token reads, in bytes.
    pub fn weight_bytes(&self) -> usize {
        self.context.weight_bytes()
    }

    /// Whether our kernels run it, not Candle.
    pub fn runs_on_kernels(&self) -> bool {
        self.context.runs_on_kernels()
    }

    /// Forgets all tokens.
    pub fn clear(&mut self) {
        self.context.clear();
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

    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Vec<f32>> {
        let logits = self.context.logits(tokens, first);
        logits.map_err(|source| Error::Compute {
            model: self.name.clone(),
            source,
        })
    }
}

impl std::fmt::Debug for BareTextModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BareTextModel")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

struct KernelContext {
    decoder: KernelDecoder,
    cache: crate::kernel_decoder::DecoderCache,
}

impl Context for KernelContext {
    fn clear(&mut self) {
        self.cache = self.decoder.new_cache();
    }

    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Vec<f32>, ComputeError> {
        self.decoder.logits(tokens, &mut self.cache, first)
    }

    fn weight_bytes(&self) -> usize {
        self.decoder.weight_bytes()
    }

    fn runs_on_kernels(&self) -> bool {
        true
    }
}

struct CandleContext {
    decoder: Decoder,
    cache: crate::decoder::KvCache,
}

impl Context for CandleContext {
    fn clear(&mut self) {
        self.cache = self.decoder.new_cache();
    }

    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Vec<f32>, ComputeError> {
        Ok(self.decoder.logits(tokens, &mut self.cache, first)?)
    }

    fn weight_bytes(&self) -> usize {
        self.decoder.weight_bytes()
    }

    fn runs_on_kernels(&self) -> bool {
        false
    }
}
