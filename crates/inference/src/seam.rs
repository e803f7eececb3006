//! What the facade knows of a model, and nothing more.

use longtrainer_images::Detail;

use crate::{Error, GenerateRequest, Message, Result, TextStream};

/// What identifies an embedder and the space of its vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedderInfo {
    /// Name of the model.
    pub model: String,
    /// Components of a vector.
    pub dimension: usize,
    /// Tokens of a text that are looked at; what follows them is cut off.
    pub max_tokens: usize,
    /// Hex SHA-256 of the weights.
    pub sha256: String,
    /// Where it runs, as a person would call it: `cpu`, `cuda:0`, `metal`.
    pub device: String,
}

/// A text as an embedder reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedText {
    /// Its tokens, special ones included; at most [`EmbedderInfo::max_tokens`].
    pub tokens: Vec<u32>,
    /// Whether there were more, which were cut off.
    pub is_cut: bool,
}

/// Turns texts into vectors of unit length.
pub trait Embedder: Send + Sync {
    /// What it is.
    fn info(&self) -> &EmbedderInfo;
    /// One vector of [`EmbedderInfo::dimension`] components a text, in the order given. Similarity
    /// of two texts is the inner product of their vectors.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
    /// The tokens of texts, in the order given: for callers that must know what a text costs, or whether
    /// it is looked at whole.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] from an embedder that does not tell.
    fn tokenize(&self, _texts: &[&str]) -> Result<Vec<TokenizedText>> {
        Err(tells_no_tokens(self.info()))
    }
    /// [`embed`](Self::embed) for texts that are [tokens](Self::tokenize) already.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for tokens that are none of this embedder's, for texts that do not
    /// have its special tokens at both ends or are too long, and from an embedder that does not tell its
    /// tokens.
    fn embed_tokens(&self, _texts: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>> {
        Err(tells_no_tokens(self.info()))
    }
    /// Memory that it takes now, in bytes; 0 if it is not of this machine.
    fn memory_bytes(&self) -> usize {
        0
    }
}

fn tells_no_tokens(info: &EmbedderInfo) -> Error {
    Error::InvalidRequest {
        field: "model",
        value: info.model.clone(),
        expected: "an embedder that tells its tokens",
    }
}

/// What identifies a text model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextModelInfo {
    /// Name of the model.
    pub model: String,
    /// Tokens that prompt and answer may have together.
    pub context_length: usize,
    /// Where it runs, as a person would call it: `cpu`, `cuda:0`, `metal`.
    pub device: String,
}

/// Turns messages, and the pictures in them if it [sees](Self::sees), into a stream of text.
pub trait TextModel: Send + Sync {
    /// What it is.
    fn info(&self) -> &TextModelInfo;
    /// Whether it looks at the pictures of messages; one that does not refuses them.
    fn sees(&self) -> bool {
        false
    }
    /// Tokens of the prompt that these messages make, template and pictures included; those depend on
    /// how closely they are looked at.
    fn count_tokens(&self, messages: &[Message], detail: Option<Detail>) -> Result<usize>;
    /// Queues a request. Errors that can be known before the first token come at once; later ones
    /// come through the stream. Dropping the stream cancels the work.
    fn generate(&self, request: GenerateRequest) -> Result<TextStream>;
    /// Memory that it takes now, weights and caches, in bytes; 0 if it is not of this machine.
    fn memory_bytes(&self) -> usize {
        0
    }
}
