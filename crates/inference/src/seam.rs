//! What the facade knows of a model, and nothing more.

use crate::{Message, Result, TextStream};

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

/// Turns texts into vectors of unit length.
pub trait Embedder: Send + Sync {
    /// What it is.
    fn info(&self) -> &EmbedderInfo;
    /// One vector of [`EmbedderInfo::dimension`] components a text, in the order given. Similarity
    /// of two texts is the inner product of their vectors.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
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

/// How the next token is chosen. The default is greedy: the likeliest token, every time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides the logits before the softmax; 0 is greedy.
    pub temperature: f32,
    /// Keeps the `k` likeliest tokens; `None` keeps all.
    pub top_k: Option<usize>,
    /// Keeps the fewest likeliest tokens whose probabilities reach this sum (nucleus sampling,
    /// Holtzman et al. 2020); in (0, 1], `None` keeps all.
    pub top_p: Option<f32>,
    /// Keeps tokens at least this fraction as likely as the likeliest (Nguyen et al. 2024); in
    /// [0, 1], `None` keeps all.
    pub min_p: Option<f32>,
    /// Divides positive and multiplies negative logits of tokens seen lately (Keskar et al. 2019);
    /// 1 does nothing.
    pub repetition_penalty: f32,
    /// How many of the last tokens count as seen lately.
    pub repetition_window: usize,
    /// Same seed, same prompt, same answer. `None` takes one from the system.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            repetition_window: 64,
            seed: None,
        }
    }
}

/// A request for an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// The chat so far; the answer is the assistant's next message.
    pub messages: Vec<Message>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens in the answer.
    pub max_tokens: usize,
    /// The answer ends before the first of these.
    pub stop: Vec<String>,
}

/// Turns messages into a stream of text.
pub trait TextModel: Send + Sync {
    /// What it is.
    fn info(&self) -> &TextModelInfo;
    /// Tokens of the prompt that these messages make, template included.
    fn count_tokens(&self, messages: &[Message]) -> Result<usize>;
    /// Queues a request. Errors that can be known before the first token come at once; later ones
    /// come through the stream. Dropping the stream cancels the work.
    fn generate(&self, request: GenerateRequest) -> Result<TextStream>;
}
