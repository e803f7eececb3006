//! Models asked directly, and bots asked without a chat: the whole conversation comes with the request,
//! and nothing is stored.
//!
//! This is what clients of the OpenAI API want, who keep their conversations themselves. Models are those
//! that this installation offers by name; unlike everywhere else in this crate a name is never taken for
//! a path, since it may come from anybody.

mod bot;
mod embedding;
mod embedding_queue;
mod usable;

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use longtrainer_inference::{
    Detail, GenerateRequest, Grammar, Message, RawText, Sampling, StreamItem, TextModel, TextStream,
};

use crate::conversation::HistoryUse;
use crate::error::{Error, Result};
use crate::model_pool::TextModelLease;
use crate::retrieval::Retrieval;
use crate::trainer::LongTrainer;

pub use bot::BotChat;
pub use embedding::{Embedded, EmbeddingInput};
pub(crate) use embedding_queue::EmbeddingQueues;
pub use usable::UsableModel;

/// Most tokens of an answer to [`LongTrainer::ask_model`] if the request does not say; less where the
/// model's context leaves less.
pub const DEFAULT_DIRECT_TOKENS: usize = 2048;
/// Most tokens that a text is gone on with, if the request does not say.
pub const DEFAULT_TEXT_TOKENS: usize = 16;

/// What a model is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// What it answers to.
    pub prompt: Prompt,
    /// Most tokens of the answer.
    pub max_tokens: Option<usize>,
    /// How tokens are chosen; `None` follows the program's defaults.
    pub sampling: Option<Sampling>,
    /// The answer ends before the first of these.
    pub stop: Vec<String>,
    /// The shape that the answer must have.
    pub grammar: Option<Grammar>,
    /// With a number, each token is reported with its log probability and those of so many others.
    pub top_logprobs: Option<usize>,
    /// How closely pictures are looked at.
    pub detail: Option<Detail>,
}

/// What a model answers to.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// A chat. If messages have pictures, the model must be one that sees.
    Chat(Vec<Message>),
    /// A text that it goes on with as it stands.
    Text(RawText),
}

impl ModelRequest {
    /// A request that leaves everything but the prompt to the program.
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            max_tokens: None,
            sampling: None,
            stop: Vec::new(),
            grammar: None,
            top_logprobs: None,
            detail: None,
        }
    }
}

/// What a bot's answer is grounded on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grounds {
    /// The passages, and how they were found.
    pub retrieval: Retrieval,
    /// How much of the conversation the model was shown.
    pub history: HistoryUse,
}

/// An answer on its way, stored nowhere: an iterator for threads, a [`Stream`] for tasks. It ends after
/// [`StreamItem::Done`] or the first error. Dropping it stops the model.
pub struct DirectAnswer {
    stream: TextStream,
    grounds: Option<Grounds>,
    /// Keeps the model loaded until the stream has ended.
    _model: TextModelLease,
}

impl DirectAnswer {
    /// What a bot's answer is grounded on; nothing for a model's.
    pub fn grounds(&self) -> Option<&Grounds> {
        self.grounds.as_ref()
    }
}

impl Iterator for DirectAnswer {
    type Item = Result<StreamItem>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = Iterator::next(&mut self.stream)?;
        Some(item.map_err(Error::from))
    }
}

impl Stream for DirectAnswer {
    type Item = Result<StreamItem>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = Pin::new(&mut self.stream).poll_next(context);
        item.map(|item| item.map(|item| item.map_err(Error::from)))
    }
}

impl LongTrainer {
    /// Asks a model of [`LongTrainer::usable_models`]. What can be refused is an error here; the answer
    /// then comes piece by piece. It blocks while a model that is not loaded yet is loaded.
    ///
    /// # Errors
    ///
    /// That of the registry for a name that is not offered,
    /// [`Error::ModelRole`] and
    /// [`Error::ModelDoesNotSee`] for a model that cannot do this, those of
    /// loading it, and whatever the model refuses: a prompt that is too long, a number out of range.
    pub fn ask_model(&self, model: &str, request: ModelRequest) -> Result<DirectAnswer> {
        let lease = match &request.prompt {
            Prompt::Chat(messages) => {
                let pictures = self.count_pictures(messages)?;
                self.inner.offered_chat_model(model, pictures > 0)?
            }
            Prompt::Text(_) => self.inner.offered_text_model(model)?,
        };
        let request = self.to_generate(&*lease, request)?;
        Ok(DirectAnswer {
            stream: lease.generate(request)?,
            grounds: None,
            _model: lease,
        })
    }

    /// Tokens of the prompt that these messages make for a model of [`LongTrainer::usable_models`].
    ///
    /// # Errors
    ///
    /// As [`LongTrainer::ask_model`].
    pub fn count_prompt_tokens(
        &self,
        model: &str,
        messages: &[Message],
        detail: Option<Detail>,
    ) -> Result<usize> {
        let pictures = self.count_pictures(messages)?;
        let lease = self.inner.offered_chat_model(model, pictures > 0)?;
        Ok(lease.count_tokens(messages, detail)?)
    }

    /// Pictures of all messages; more in one message than are taken is an error.
    fn count_pictures(&self, messages: &[Message]) -> Result<usize> {
        let limit = self.inner.defaults.max_pictures;
        let counts = messages.iter().map(|message| message.pictures.len());
        match counts.clone().find(|given| *given > limit) {
            Some(given) => Err(Error::TooManyPictures { given, limit }),
            None => Ok(counts.sum()),
        }
    }

    fn to_generate(&self, model: &dyn TextModel, asked: ModelRequest) -> Result<GenerateRequest> {
        let defaults = &self.inner.defaults;
        let request = match asked.prompt {
            Prompt::Text(text) => {
                let max_tokens = asked.max_tokens.unwrap_or(DEFAULT_TEXT_TOKENS);
                GenerateRequest::of_text(text, max_tokens)
            }
            Prompt::Chat(messages) => {
                let max_tokens = match asked.max_tokens {
                    Some(max_tokens) => max_tokens,
                    None => room_for_answer(model, &messages, asked.detail)?,
                };
                GenerateRequest::new(messages, max_tokens)
            }
        };
        Ok(GenerateRequest {
            detail: asked.detail,
            sampling: asked.sampling.unwrap_or_else(|| defaults.sampling.clone()),
            stop: asked.stop,
            grammar: asked.grammar,
            top_logprobs: asked.top_logprobs,
            cache_scope: self.inner.cache_scope(),
            ..request
        })
    }
}

/// Tokens that an answer may have if nobody says; at least one, so that a prompt that fills the context
/// is refused by the model, which says why.
fn room_for_answer(
    model: &dyn TextModel,
    messages: &[Message],
    detail: Option<Detail>,
) -> Result<usize> {
    let context = model.info().context_length;
    let room = context.saturating_sub(model.count_tokens(messages, detail)?);
    Ok(room.clamp(1, DEFAULT_DIRECT_TOKENS))
}
