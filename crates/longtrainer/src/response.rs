//! Questions and answers in a text chat.
//!
//! Everything that can be refused is refused before the stream begins. A stream is then served by a
//! thread of its own: it retrieves nothing more, passes the model's text on, and stores the turn
//! when the text ends, however it ends. So the turn is stored once, whether the reader is a thread
//! or a task, stays or leaves.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use async_channel::{Receiver, Sender};
use futures_core::Stream;
use futures_lite::{StreamExt, future};
use jiff::Timestamp;
use longtrainer_inference::{
    FinishReason, GenerateRequest, Generation, Sampling, StreamItem, TextStream, Usage,
};
use longtrainer_store::{Order, SourceRecord, TurnRecord, TurnStatus, UploadedFile};

use crate::conversation::{Budget, Conversation, HistoryUse, is_remembered, with_files};
use crate::error::{Error, Result};
use crate::ids::{BotId, ChatId};
use crate::model_pool::TextModelLease;
use crate::prompt::PromptTemplate;
use crate::question;
use crate::retrieval::RetrievedDocument;
use crate::trainer::{Inner, LongTrainer};

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
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What the model said.
    pub text: String,
    /// The passages it was given, nearest first.
    pub sources: Vec<RetrievedDocument>,
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
    /// The passages that the model is given, nearest first. Comes first, and once.
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
    /// not loaded yet takes to load: an async server calls it from a blocking thread.
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
        let bot = self.bot_of_chat(bot_id, chat_id.as_str())?;
        question::check_built(bot_id, &bot)?;
        let asked_at = Timestamp::now();
        let model = self.inner.text_model_of(&bot)?;
        let sources = self.inner.retrieve(bot_id, &bot, query, options.num_k)?;
        let conversation = Conversation {
            system: self.inner.system_prompt(&bot.settings, &sources)?,
            history: self.inner.remembered_turns(chat_id)?,
            question: with_files(query, &options.uploaded_files),
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
            ..GenerateRequest::new(messages, max_tokens)
        })?;
        Ok(PreparedTurn {
            chat_id: chat_id.clone(),
            question: query.to_owned(),
            uploaded_files: options.uploaded_files,
            asked_at,
            sources,
            history,
            stream,
            _model: model,
        })
    }
}

impl Inner {
    /// The bot's template, or the default, with the passages joined by blank lines in its place.
    fn system_prompt(
        &self,
        settings: &longtrainer_store::BotSettings,
        sources: &[RetrievedDocument],
    ) -> Result<String> {
        let template = settings
            .prompt_template
            .as_ref()
            .unwrap_or(&self.defaults.prompt_template);
        let passages: Vec<_> = sources
            .iter()
            .map(|source| source.page_content.as_str())
            .collect();
        Ok(PromptTemplate::parse(template)?.fill(&passages.join("\n\n")))
    }

    fn remembered_turns(&self, chat_id: &ChatId) -> Result<Vec<TurnRecord>> {
        let mut turns = self.store.turns(chat_id.as_str(), Order::Oldest, None)?;
        turns.retain(is_remembered);
        Ok(turns)
    }
}

/// A turn whose prompt is with the model and whose answer is on its way.
struct PreparedTurn {
    chat_id: ChatId,
    question: String,
    uploaded_files: Vec<UploadedFile>,
    asked_at: Timestamp,
    sources: Vec<RetrievedDocument>,
    history: HistoryUse,
    stream: TextStream,
    /// Keeps the model loaded until the stream has ended.
    _model: TextModelLease,
}

/// How the model's stream ended.
enum End {
    Done(Generation),
    ReaderLeft,
    Failed(Error),
}

impl PreparedTurn {
    /// Passes the answer on and stores the turn.
    fn serve(mut self, inner: &Inner, reader: &Sender<Result<Chunk>>) {
        let mut text = String::new();
        let end = match reader.send_blocking(Ok(Chunk::Sources(self.sources.clone()))) {
            Ok(()) => future::block_on(self.pass_on(&mut text, reader)),
            Err(_) => End::ReaderLeft,
        };
        let last = match end {
            End::Done(generation) => self.complete(inner, text, generation).map(Chunk::Done),
            End::ReaderLeft => match self.store(inner, &text, TurnStatus::Cancelled, None) {
                Ok(_) => return,
                Err(error) => Err(error),
            },
            End::Failed(error) => Err(self.fail(inner, &text, error)),
        };
        if let Err(error) = &last {
            tracing::warn!(chat_id = %self.chat_id, %error, "turn not completed");
        }
        // A reader that has left misses only what it no longer wants; the turn is stored.
        let _ = reader.send_blocking(last);
    }

    /// Collects the text while sending it on, until it ends or nobody reads any more. Watching the
    /// reader and not only the sends is what stops a prompt that is still being read.
    async fn pass_on(&mut self, text: &mut String, reader: &Sender<Result<Chunk>>) -> End {
        loop {
            let reader_left = async {
                reader.closed().await;
                None
            };
            let next = async { Some(StreamExt::next(&mut self.stream).await) };
            match future::or(reader_left, next).await {
                None => return End::ReaderLeft,
                // Only requests for log probabilities get these.
                Some(Some(Ok(StreamItem::Token(_)))) => (),
                Some(Some(Ok(StreamItem::Text(piece)))) => {
                    text.push_str(&piece);
                    if reader.send(Ok(Chunk::Text(piece))).await.is_err() {
                        return End::ReaderLeft;
                    }
                }
                Some(Some(Ok(StreamItem::Done(generation)))) => return End::Done(generation),
                Some(Some(Err(error))) => return End::Failed(error.into()),
                Some(None) => {
                    return End::Failed(Error::AnswerBrokeOff {
                        chat_id: self.chat_id.clone(),
                    });
                }
            }
        }
    }

    fn complete(&self, inner: &Inner, text: String, generation: Generation) -> Result<Box<Answer>> {
        let turn = self.store(inner, &text, TurnStatus::Complete, None)?;
        Ok(Box::new(Answer {
            text,
            sources: self.sources.clone(),
            web_sources: Vec::new(),
            finish_reason: generation.finish_reason,
            usage: generation.usage,
            history: self.history,
            turn,
        }))
    }

    /// Stores the failed turn; the model's error is what the reader must hear, so an error of the
    /// store beside it is only logged.
    fn fail(&self, inner: &Inner, text: &str, error: Error) -> Error {
        if let Err(second) = self.store(inner, text, TurnStatus::Failed, Some(error.to_string())) {
            tracing::error!(chat_id = %self.chat_id, error = %second, "failed turn not stored");
        }
        error
    }

    fn store(
        &self,
        inner: &Inner,
        text: &str,
        status: TurnStatus,
        error: Option<String>,
    ) -> Result<u64> {
        let sources: Vec<SourceRecord> = self
            .sources
            .iter()
            .map(RetrievedDocument::to_source)
            .collect();
        let turn = TurnRecord {
            turn: 0,
            timestamp: self.asked_at,
            question: self.question.clone(),
            answer: text.to_owned(),
            sources,
            web_sources: Vec::new(),
            uploaded_files: self.uploaded_files.clone(),
            trained: false,
            status,
            error,
        };
        Ok(inner.store.append_turn(self.chat_id.as_str(), &turn)?)
    }
}
