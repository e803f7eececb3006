//! Questions and answers, in text chats and, by way of [`crate::vision`], about pictures.
//!
//! Everything that can be refused is refused before the stream begins. A stream is then served by a
//! thread of its own: it retrieves nothing more, passes the model's text on, and stores the turn
//! when the text ends, however it ends. So the turn is stored once, whether the reader is a thread
//! or a task, stays or leaves.

mod asked;
mod prepared_turn;
mod structured;
mod turn_draft;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use async_channel::Receiver;
use futures_core::Stream;
use longtrainer_inference::{
    Adapter, Detail, FinishReason, GenerateRequest, Grammar, Picture, Sampling, Usage,
};
use longtrainer_store::{BotRecord, BotSettings, Order, UploadedFile};
use serde_json::Value;

use crate::conversation::{
    Budget, Conversation, HistoryUse, Past, PastTurn, is_remembered, with_passages,
};
use crate::error::{Error, Result};
use crate::ids::{BotId, ChatId};
use crate::model_pool::TextModelLease;
use crate::passages;
use crate::prompt::{Placed, PromptTemplate};
use crate::question;
use crate::retrieval::{RetrievalUse, RetrievedDocument};
use crate::trainer::{Inner, LongTrainer};
use crate::vision::MissingPicture;
use prepared_turn::PreparedTurn;

pub(crate) use asked::Asked;
pub(crate) use prepared_turn::Queued;
pub(crate) use turn_draft::TurnDraft;

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
    /// Changes the model's weights for this answer; others are answered beside it without.
    pub adapter: Option<Adapter>,
    /// What is added to the bot's own instructions.
    pub instructions: Option<String>,
    /// With a number, each token is reported with its log probability; only
    /// [`LongTrainer::ask_bot`] passes that on.
    pub top_logprobs: Option<usize>,
    /// How closely the pictures of a vision chat are looked at; `None` is what suits the device.
    pub detail: Option<Detail>,
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
    /// Pictures of those earlier turns that could not be had any more, so that the model was not shown
    /// them; empty in a text chat.
    pub missing_pictures: Vec<MissingPicture>,
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
    chat_id: String,
}

impl ResponseStream {
    /// Waits for the whole answer.
    ///
    /// # Errors
    ///
    /// Whatever ended the answer before it was whole.
    pub fn whole(mut self) -> Result<Answer> {
        for chunk in self.by_ref() {
            if let Chunk::Done(answer) = chunk? {
                return Ok(*answer);
            }
        }
        Err(Error::AnswerBrokeOff {
            chat_id: self.chat_id,
        })
    }

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
        self.stream_response(query, bot_id, chat_id, options)?
            .whole()
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
        let asked = Asked::new(query, options)?;
        let bot = self.bot_of_chat(bot_id, chat_id.as_str())?;
        question::check_built(bot_id, &bot)?;
        let model = self.inner.text_model_of(&bot)?;
        let past = self.inner.remembered_turns(chat_id)?;
        let queued = self
            .inner
            .queue(&asked, Vec::new(), bot_id, &bot, model, past)?;
        self.serve(TurnDraft::text(chat_id, &asked), queued)
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

    /// Starts the thread that passes an answer on and stores its turn.
    pub(crate) fn serve(&self, draft: TurnDraft, queued: Queued) -> Result<ResponseStream> {
        let (sender, receiver) = async_channel::unbounded();
        let inner = Arc::clone(&self.inner);
        let chat_id = draft.chat_id().to_owned();
        let prepared = PreparedTurn { draft, queued };
        let span = tracing::Span::current();
        let worker = std::thread::Builder::new()
            .name("longtrainer-answer".to_owned())
            .spawn(move || span.in_scope(|| prepared.serve(&inner, &sender)))
            .map_err(|source| Error::Thread { source })?;
        Ok(ResponseStream {
            receiver: Box::pin(receiver),
            worker,
            chat_id,
        })
    }
}

impl Inner {
    /// Retrieves, fits the prompt to the model, and queues it there.
    pub(crate) fn queue(
        &self,
        asked: &Asked,
        pictures: Vec<Picture>,
        bot_id: &BotId,
        bot: &BotRecord,
        model: TextModelLease,
        past: Past,
    ) -> Result<Queued> {
        let found = self.retrieve(bot_id, bot, &asked.query, &past.turns, asked.num_k)?;
        let placed = self.place(&bot.settings, &found.documents)?;
        let question = with_passages(&asked.query, &asked.uploaded_files, &placed.before_question);
        let conversation = Conversation {
            system: asked.with_instructions(placed.system),
            past,
            question: asked.instructed(question),
            pictures,
            detail: asked.detail,
        };
        let max_tokens = asked.max_tokens.unwrap_or(self.defaults.max_answer_tokens);
        let budget = Budget::new(&*model, self.defaults.max_token_limit, max_tokens);
        let fitted = conversation.fit(&*model, budget)?;
        let sampling = asked.sampling.as_ref().unwrap_or(&self.defaults.sampling);
        let stream = model.generate(GenerateRequest {
            detail: asked.detail,
            sampling: sampling.clone(),
            stop: asked.stop.clone(),
            grammar: asked.grammar.clone(),
            adapter: asked.adapter.clone(),
            cache_scope: self.cache_scope(),
            top_logprobs: asked.top_logprobs,
            ..GenerateRequest::new(fitted.messages, max_tokens)
        })?;
        Ok(Queued {
            found,
            history: fitted.history,
            missing_pictures: fitted.missing_pictures,
            structure: asked.structure.clone(),
            stream,
            _model: model,
        })
    }

    /// The bot's template, or the default, with the passages in their place.
    fn place(&self, settings: &BotSettings, sources: &[RetrievedDocument]) -> Result<Placed> {
        let template = settings
            .prompt_template
            .as_ref()
            .unwrap_or(&self.defaults.prompt_template);
        Ok(PromptTemplate::parse(template)?.place(&passages::render(sources)))
    }

    fn remembered_turns(&self, chat_id: &ChatId) -> Result<Past> {
        let turns = self.store.turns(chat_id.as_str(), Order::Oldest, None)?;
        let remembered = turns.into_iter().filter(is_remembered);
        Ok(Past {
            turns: remembered.map(PastTurn::from).collect(),
            ..Past::default()
        })
    }
}
