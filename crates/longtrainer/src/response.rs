//! Questions and answers in a text chat.
//!
//! Everything that can be refused is refused before the stream begins. A stream is then served by a
//! thread of its own: it retrieves nothing more, passes the model's text on, and stores the turn
//! when the text ends, however it ends. So the turn is stored once, whether the reader is a thread
//! or a task, stays or leaves.

mod prepared_turn;
mod structured;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use async_channel::Receiver;
use futures_core::Stream;
use jiff::Timestamp;
use longtrainer_inference::{FinishReason, GenerateRequest, Grammar, Sampling, Usage};
use longtrainer_store::{BotSettings, Order, TurnRecord, UploadedFile};
use serde_json::Value;

use crate::conversation::{Budget, Conversation, HistoryUse, asked, is_remembered};
use crate::error::{Error, Result};
use crate::ids::{BotId, ChatId};
use crate::passages;
use crate::prompt::{Placed, PromptTemplate};
use crate::question;
use crate::retrieval::{RetrievalUse, RetrievedDocument};
use crate::trainer::{Inner, LongTrainer};
use prepared_turn::PreparedTurn;
use structured::Structure;

/// How one question is answered. What is left out follows the bot, then the program's defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResponseOptions {
    /// Files sent along, with their texts.
    pub uploaded_files: Vec<UploadedFile>,
    /// Passages to retrieve.
    pub num_k: Option<usize>,
    /// Most tokens of the answer.
    pub max_tokens: Option<usize>,
    /// How tokens are chosen.
    pub sampling: Option<Sampling>,
    /// The answer ends before the first of these.
    pub stop: Vec<String>,
    /// JSON Schema (draft 2020-12) of the answer, which is then JSON text, and data in
    /// [`Answer::data`]. Cannot be given beside `grammar`.
    pub schema: Option<Value>,
    /// The shape that the answer must have, where that is not a schema.
    pub grammar: Option<Grammar>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What the model said.
    pub text: String,
    /// The same as data, checked against the schema that was asked for; `None` if none was.
    pub data: Option<Value>,
    /// The passages it was given, best first.
    pub sources: Vec<RetrievedDocument>,
    /// What was searched for to find them.
    pub retrieval: RetrievalUse,
    /// Links from a web search; always empty, since nothing here searches the web.
    pub web_sources: Vec<String>,
    /// Why the text ends.
    pub finish_reason: FinishReason,
    /// What it cost.
    pub usage: Usage,
    /// How much of the chat the model was shown.
    pub history: HistoryUse,
    /// The number of the stored turn in its chat, from 0.
    pub turn: u64,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// The passages that the model is given, best first. Comes first, and once.
    Sources(Vec<RetrievedDocument>),
    /// The next piece of text: whole characters, never empty.
    Text(String),
    /// The end: the turn is stored. Nothing follows.
    Done(Box<Answer>),
}

/// The stream of one answer: an iterator for threads, a [`Stream`] for tasks. It ends after
/// [`Chunk::Done`] or the first error. Dropping it stops the model; what had been said by then is
/// stored as a cancelled turn.
#[derive(Debug)]
pub struct ResponseStream {
    receiver: Pin<Box<Receiver<Result<Chunk>>>>,
    worker: JoinHandle<()>,
}

impl ResponseStream {
    /// Stops the model and waits until what had been said is stored as a cancelled turn: what a
    /// program that is about to end calls instead of dropping the stream.
    pub fn cancel(self) {
        drop(self.receiver);
        if self.worker.join().is_err() {
            tracing::error!("the thread of a cancelled answer ended in a panic");
        }
    }
}

impl Iterator for ResponseStream {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.recv_blocking().ok()
    }
}

impl Stream for ResponseStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.as_mut().poll_next(context)
    }
}

impl LongTrainer {
    /// Asks a question in a chat and waits for the whole answer.
    pub fn get_response(
        &self,
        query: &str,
        bot_id: &BotId,
        chat_id: &ChatId,
        options: ResponseOptions,
    ) -> Result<Answer> {
        for chunk in self.stream_response(query, bot_id, chat_id, options)? {
            if let Chunk::Done(answer) = chunk? {
                return Ok(*answer);
            }
        }
        Err(Error::AnswerBrokeOff {
            chat_id: chat_id.clone(),
        })
    }

    /// Asks a question in a chat; the answer comes piece by piece, for a thread to read.
    ///
    /// A question that cannot be asked (unknown ids, no text, too long) is an error here and leaves
    /// no turn. From then on the turn is stored whatever happens: complete, cancelled or failed.
    pub fn stream_response(
        &self,
        query: &str,
        bot_id: &BotId,
        chat_id: &ChatId,
        options: ResponseOptions,
    ) -> Result<ResponseStream> {
        let prepared = self.prepare(query, bot_id, chat_id, options)?;
        let (sender, receiver) = async_channel::unbounded();
        let inner = Arc::clone(&self.inner);
        let worker = std::thread::Builder::new()
            .name("longtrainer-answer".to_owned())
            .spawn(move || prepared.serve(&inner, &sender))
            .map_err(|source| Error::Thread { source })?;
        Ok(ResponseStream {
            receiver: Box::pin(receiver),
            worker,
        })
    }

    /// [`LongTrainer::stream_response`] for a task to read. Retrieval and the check of the prompt
    /// run before it returns and block for a few milliseconds, or for as long as a model that is
    /// not loaded yet takes to load or the ensemble's phrasings to be written: an async server calls
    /// it from a blocking thread.
    pub fn aget_response(
        &self,
        query: &str,
        bot_id: &BotId,
        chat_id: &ChatId,
        options: ResponseOptions,
    ) -> Result<impl Stream<Item = Result<Chunk>> + Send + use<>> {
        self.stream_response(query, bot_id, chat_id, options)
    }

    /// Checks, retrieves, and queues the prompt.
    fn prepare(
        &self,
        query: &str,
        bot_id: &BotId,
        chat_id: &ChatId,
        options: ResponseOptions,
    ) -> Result<PreparedTurn> {
        question::check(query)?;
        let structure = options.schema.map(Structure::new).transpose()?;
        let grammar = structured::grammar(structure.as_ref(), options.grammar)?;
        let bot = self.bot_of_chat(bot_id, chat_id.as_str())?;
        question::check_built(bot_id, &bot)?;
        let asked_at = Timestamp::now();
        let model = self.inner.text_model_of(&bot)?;
        let history = self.inner.remembered_turns(chat_id)?;
        let found = self
            .inner
            .retrieve(bot_id, &bot, query, &history, options.num_k)?;
        let placed = self.inner.place(&bot.settings, &found.documents)?;
        let question = asked(query, &options.uploaded_files, &placed.before_question);
        let conversation = Conversation {
            system: placed.system,
            history,
            question: match &structure {
                Some(structure) => structure.instruct(&question),
                None => question,
            },
        };
        let max_tokens = options
            .max_tokens
            .unwrap_or(self.inner.defaults.max_answer_tokens);
        let budget = Budget::new(&*model, self.inner.defaults.max_token_limit, max_tokens);
        let (messages, history) = conversation.fit(&*model, budget)?;
        let stream = model.generate(GenerateRequest {
            sampling: options
                .sampling
                .unwrap_or_else(|| self.inner.defaults.sampling.clone()),
            stop: options.stop,
            grammar,
            ..GenerateRequest::new(messages, max_tokens)
        })?;
        Ok(PreparedTurn {
            chat_id: chat_id.clone(),
            question: query.to_owned(),
            uploaded_files: options.uploaded_files,
            asked_at,
            found,
            history,
            structure,
            stream,
            _model: model,
        })
    }
}

impl Inner {
    /// The bot's template, or the default, with the passages in their place.
    fn place(&self, settings: &BotSettings, sources: &[RetrievedDocument]) -> Result<Placed> {
        let template = settings
            .prompt_template
            .as_ref()
            .unwrap_or(&self.defaults.prompt_template);
        Ok(PromptTemplate::parse(template)?.place(&passages::render(sources)))
    }

    fn remembered_turns(&self, chat_id: &ChatId) -> Result<Vec<TurnRecord>> {
        let mut turns = self.store.turns(chat_id.as_str(), Order::Oldest, None)?;
        turns.retain(is_remembered);
        Ok(turns)
    }
}
