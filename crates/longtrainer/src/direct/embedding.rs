//! Texts to vectors, for callers outside.

use crate::error::{Error, Result};
use crate::trainer::LongTrainer;

/// What is to be embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingInput {
    /// Texts.
    Texts(Vec<String>),
    /// Texts that are tokens already, exactly as the model's own tokenizer makes them, special tokens
    /// included. Lists that cannot come from it are refused.
    Tokens(Vec<Vec<u32>>),
}

/// Vectors, and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// A vector of unit length a text, in the order given.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all texts.
    pub tokens: usize,
}

impl LongTrainer {
    /// Embeds texts with a model of [`LongTrainer::usable_models`]. Texts of callers that come at the same
    /// time go through the model together.
    ///
    /// # Errors
    ///
    /// [`Error::TextTooLong`] for a text that the model would not look at as a whole, unless `cut`; those
    /// of finding and loading the model, and of tokens that are not the model's.
    pub fn embed(&self, model: &str, input: EmbeddingInput, cut: bool) -> Result<Embedded> {
        let embedder = self.inner.offered_embedder(model)?;
        let texts = match input {
            EmbeddingInput::Tokens(texts) => texts,
            EmbeddingInput::Texts(texts) => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let tokenized = embedder.tokenize(&texts)?;
                if let Some(index) = tokenized.iter().position(|text| text.is_cut)
                    && !cut
                {
                    return Err(Error::TextTooLong {
                        index,
                        max_tokens: embedder.info().max_tokens,
                    });
                }
                tokenized.into_iter().map(|text| text.tokens).collect()
            }
        };
        let tokens = texts.iter().map(Vec::len).sum();
        let queue = self.inner.embedding_queues.of(model);
        Ok(Embedded {
            vectors: queue.embed(&*embedder, texts)?,
            tokens,
        })
    }
}
