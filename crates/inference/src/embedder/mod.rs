//! Texts to vectors with a sentence-transformers model of the BERT family.
//!
//! The vectors are those of sentence-transformers: its folder layout is read, its limits, pooling
//! and norm are kept. On the processor our own kernels compute them; on graphics cards Candle does, in 16 bits unless
//! f32 is asked for, and in batches of texts of similar length, so that a short text never pays for a long neighbour.

mod batch;
mod bert;
mod candle_bert;
mod folder;
mod kernel_bert;
mod options;
mod pooling;
mod weights;

use std::path::Path;

use tokenizers::{Encoding, Tokenizer};

use crate::device::SelectedDevice;
use crate::error::compute_failed;
use crate::{Embedder, EmbedderInfo, Error, Result, TokenizedText, threads};

use candle_bert::CandleBert;
use folder::ModelFolder;
use kernel_bert::KernelBert;
pub use options::{CardPrecision, EmbedderOptions, Precision};

/// An encoder of the BERT family.
#[derive(Debug)]
pub struct BertEmbedder {
    info: EmbedderInfo,
    layer_parameters: usize,
    tokenizer: Tokenizer,
    backend: Backend,
}

/// What computes the encoder.
#[derive(Debug)]
enum Backend {
    /// Our kernels, on the processor.
    Kernels(KernelBert),
    /// Candle, on graphics cards; the reference in the tests.
    Candle(CandleBert),
}

impl BertEmbedder {
    /// Loads a sentence-transformers folder: `config.json`, `tokenizer.json` and
    /// `model.safetensors`, and where they exist `sentence_bert_config.json`,
    /// `1_Pooling/config.json` and `modules.json`. `sha256` is the hex hash of the weights, which
    /// whoever fetched them has checked.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::Config`], [`Error::BadModel`] and [`Error::BadTensor`] for files
    /// that are missing or damaged, [`Error::Unsupported`] for an architecture or a pooling that
    /// this crate cannot run, [`Error::Tokenizer`] for a bad `tokenizer.json`,
    /// [`Error::InvalidRequest`] for options out of range.
    pub fn load(
        name: &str,
        folder: &Path,
        sha256: &str,
        options: &EmbedderOptions,
    ) -> Result<Self> {
        threads::check(options.threads)?;
        let folder = ModelFolder::open(folder)?;
        let backend = || Backend::load(name, &folder, options);
        Self::with(name, &folder, sha256, &options.device, backend)
    }

    /// The same through Candle, on any device.
    #[cfg(test)]
    pub(crate) fn load_through_candle(
        name: &str,
        folder: &Path,
        device: &SelectedDevice,
        precision: CardPrecision,
    ) -> Result<Self> {
        let folder = ModelFolder::open(folder)?;
        let backend = || CandleBert::load(&folder, device.device(), precision);
        Self::with(name, &folder, "", device, || backend().map(Backend::Candle))
    }

    fn with(
        name: &str,
        folder: &ModelFolder,
        sha256: &str,
        device: &SelectedDevice,
        backend: impl FnOnce() -> Result<Backend>,
    ) -> Result<Self> {
        let tokenizer = load_tokenizer(name, folder)?;
        let backend = backend()?;
        let info = EmbedderInfo {
            model: name.to_owned(),
            dimension: backend.dimension(),
            max_tokens: folder.max_tokens,
            sha256: sha256.to_owned(),
            device: device.name().to_owned(),
        };
        tracing::info!(model = name, device = info.device, "embedder loaded");
        Ok(Self {
            info,
            layer_parameters: folder.config.layer_parameters(),
            tokenizer,
            backend,
        })
    }

    /// [`embed`](Embedder::embed) for texts that are tokens already, special tokens included: what a
    /// benchmark of exact lengths times.
    ///
    /// # Errors
    ///
    /// [`Error::Compute`] for a token that is not in the vocabulary or a text that is longer than
    /// the model's positions.
    pub fn embed_tokens(&self, texts: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>> {
        let embedded = match &self.backend {
            Backend::Kernels(bert) => bert.embed(&texts),
            Backend::Candle(bert) => bert.embed(texts),
        };
        embedded.map_err(|source| compute_failed(&self.info.model, source))
    }

    /// Weights of the layers' matrices: each is multiplied once for a token.
    pub fn layer_parameters(&self) -> usize {
        self.layer_parameters
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Encoding>> {
        let encodings = self.tokenizer.encode_batch_fast(texts.to_vec(), true);
        encodings.map_err(|source| self.tokenizer_failed(source))
    }

    fn tokenizer_failed(&self, source: tokenizers::Error) -> Error {
        Error::Tokenizer {
            model: self.info.model.clone(),
            source,
        }
    }

    /// Refuses what this embedder's tokenizer never makes: vectors of such texts would mean nothing, as
    /// when a caller used the tokenizer of another model.
    fn check_tokens(&self, texts: &[Vec<u32>]) -> Result<()> {
        let empty = self.tokenizer.encode_fast("", true);
        let empty = empty.map_err(|source| self.tokenizer_failed(source))?;
        let (first, last) = match empty.get_ids() {
            [first, .., last] => (Some(first), Some(last)),
            [only] => (Some(only), None),
            [] => (None, None),
        };
        let vocabulary = self.tokenizer.get_vocab_size(true);
        for text in texts {
            let is_framed = (first.is_none() || text.first() == first)
                && (last.is_none() || text.last() == last);
            let expected = if text.is_empty() || !is_framed {
                "what this model's own tokenizer makes, with its special tokens at both ends"
            } else if text.len() > self.info.max_tokens {
                "of no more tokens than this model looks at"
            } else if text.iter().any(|token| *token as usize >= vocabulary) {
                "tokens of this model's vocabulary"
            } else {
                continue;
            };
            return Err(Error::InvalidRequest {
                field: "tokens",
                value: format!("a list of {}", text.len()),
                expected,
            });
        }
        Ok(())
    }
}

impl Embedder for BertEmbedder {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let encodings = self.encode(texts)?;
        let tokens = encodings.iter().map(|text| text.get_ids().to_vec());
        BertEmbedder::embed_tokens(self, tokens.collect())
    }

    fn tokenize(&self, texts: &[&str]) -> Result<Vec<TokenizedText>> {
        let encodings = self.encode(texts)?;
        let tokenized = encodings.iter().map(|text| TokenizedText {
            tokens: text.get_ids().to_vec(),
            is_cut: !text.get_overflowing().is_empty(),
        });
        Ok(tokenized.collect())
    }

    fn embed_tokens(&self, texts: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>> {
        self.check_tokens(&texts)?;
        BertEmbedder::embed_tokens(self, texts)
    }

    /// Weights and kept buffers; the tokenizer's tables are not counted.
    fn memory_bytes(&self) -> usize {
        match &self.backend {
            Backend::Kernels(bert) => bert.memory_bytes(),
            Backend::Candle(bert) => bert.memory_bytes(),
        }
    }
}

impl Backend {
    fn load(name: &str, folder: &ModelFolder, options: &EmbedderOptions) -> Result<Self> {
        let device = options.device.device();
        if device.is_cpu() {
            let team = threads::team(name, options.threads)?;
            return KernelBert::load(folder, team, options.precision).map(Self::Kernels);
        }
        options.device.check_room(name, folder.weight_bytes()?)?;
        let precision = options.precision.on_a_card();
        CandleBert::load(folder, device, precision).map(Self::Candle)
    }

    fn dimension(&self) -> usize {
        match self {
            Self::Kernels(bert) => bert.dimension(),
            Self::Candle(bert) => bert.dimension(),
        }
    }
}

/// The tokenizer with the limits of the model: what `tokenizer.json` says of truncation and padding
/// is how somebody once called it, not part of the model.
fn load_tokenizer(name: &str, folder: &ModelFolder) -> Result<Tokenizer> {
    let bytes = folder.read("tokenizer.json")?;
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|source| Error::Tokenizer {
        model: name.to_owned(),
        source,
    })?;
    let truncation = tokenizers::TruncationParams {
        max_length: folder.max_tokens,
        ..Default::default()
    };
    tokenizer.with_padding(None);
    let truncated = tokenizer.with_truncation(Some(truncation));
    truncated.map_err(|source| Error::Tokenizer {
        model: name.to_owned(),
        source,
    })?;
    check_vocabulary(&tokenizer, folder)?;
    Ok(tokenizer)
}

/// Every token needs a row of the embedding; rows without a token are padding.
fn check_vocabulary(tokenizer: &Tokenizer, folder: &ModelFolder) -> Result<()> {
    let rows = folder.config.vocab_size;
    let ids = tokenizer.get_vocab(true).into_values();
    match ids.max() {
        Some(id) if id as usize >= rows => Err(Error::BadModel {
            path: folder.file("tokenizer.json"),
            problem: format!("it has a token {id}, but the model has {rows} tokens"),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
