//! The models: an encoder that turns texts into vectors and a decoder that turns messages into a
//! stream of text, both through Candle.
//!
//! [`Embedder`] and [`TextModel`] are the seam: the facade sees only them, so that a test can use a
//! fake and a large deployment can put a cluster behind the same calls.

mod error;
mod message;
mod seam;
mod stream;

pub use error::{Error, Result};
pub use message::{Message, Role};
pub use seam::{Embedder, EmbedderInfo, GenerateRequest, Sampling, TextModel, TextModelInfo};
pub use stream::{FinishReason, Generation, StreamItem, TextStream, Usage};
