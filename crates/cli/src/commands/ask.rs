//! `ask`: one question, one streamed answer with its sources.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use longtrainer::{
    Adapter, Answer, BotId, FinishReason, HistoryUse, LongTrainer, MissingPicture, ResponseOptions,
    ResponseStream, RetrievalUse, RetrievedDocument,
};
use serde::Serialize;
use serde_json::Value;

use crate::answer::{self, Outcome, milliseconds_to_first_token, tokens_per_second};
use crate::chat_name::AnyChatId;
use crate::commands::vision_flags::DetailFlag;
use crate::error::CliError;
use crate::flags::SamplingFlags;
use crate::interrupt::Interrupts;
use crate::model_files::{ensure_both, ensure_for_vision};
use crate::session::Session;
use crate::source_line::number;

/// Most bytes read from standard input; the library takes far less, and says so.
const STDIN_LIMIT: u64 = 16 << 20;

#[derive(Debug, Args)]
pub(crate) struct AskFlags {
    /// The bot's id
    bot: BotId,
    /// The question; - reads it from standard input
    question: String,
    /// Go on with this chat [default: a new one]
    #[arg(long, value_name = "ID")]
    chat: Option<AnyChatId>,
    /// Ask about this picture, a path or a data URL; may be given more than once
    #[arg(long = "image", value_name = "PATH")]
    images: Vec<String>,
    #[command(flatten)]
    detail: DetailFlag,
    /// File with a JSON Schema: the answer is JSON of it
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Print one JSON object with answer, sources and usage
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    answer: AnswerFlags,
}

/// How an answer is made; what is left out follows the bot and the settings.
#[derive(Debug, Clone, Args)]
pub(crate) struct AnswerFlags {
    /// Passages to retrieve
    #[arg(long, value_name = "N")]
    num_k: Option<usize>,
    /// Most tokens of the answer
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// End the answer before this text; may be given more than once
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Answer with this LoRA adapter over the model: a GGUF file, or a folder or safetensors file of
    /// PEFT
    #[arg(long, value_name = "PATH")]
    adapter: Option<PathBuf>,
    /// How much of the adapter is applied
    #[arg(
        long,
        value_name = "FACTOR",
        default_value_t = 1.0,
        requires = "adapter"
    )]
    adapter_scale: f32,
    #[command(flatten)]
    sampling: SamplingFlags,
}

impl AnswerFlags {
    /// The flags over the trainer's defaults.
    pub(crate) fn to_options(&self, trainer: &LongTrainer) -> ResponseOptions {
        ResponseOptions {
            num_k: self.num_k,
            max_tokens: self.max_tokens,
            sampling: Some(self.sampling.over(&trainer.defaults().sampling)),
            stop: self.stop.clone(),
            ..ResponseOptions::default()
        }
    }

    /// The adapter, read once for all answers: they share its memory.
    pub(crate) fn load_adapter(&self) -> longtrainer::Result<Option<Adapter>> {
        let Some(path) = &self.adapter else {
            return Ok(None);
        };
        let adapter = Adapter::load(&path.display().to_string(), path)?;
        Ok(Some(adapter.with_scale(self.adapter_scale)?))
    }
}

pub(crate) fn run(flags: AskFlags, mut session: Session) -> anyhow::Result<()> {
    let question = read_question(&flags.question)?;
    let schema = flags.schema.as_deref().map(read_schema).transpose()?;
    let vision = flags.is_vision()?;
    let trainer = session.trainer()?;
    let bot = trainer.bot(&flags.bot)?;
    match vision {
        true => ensure_for_vision(&trainer, &bot, session.notes)?,
        false => ensure_both(&trainer, &bot, session.notes)?,
    }
    let interrupts = Interrupts::listen()?;
    let (chat_id, stream) = start(&trainer, &flags, vision, &question, schema)?;
    let outcome = match flags.json {
        true => answer::read(stream, &chat_id, &interrupts, |_| Ok(()))?,
        false => answer::show(stream, &chat_id, &interrupts, &mut session.output)?,
    };
    match outcome {
        Outcome::Cancelled => Err(CliError::Interrupted.into()),
        Outcome::Answered(answer) if flags.json => session
            .output
            .json(&AnswerJson::new(&flags.bot, &chat_id, &answer)),
        Outcome::Answered(answer) => finish(&flags, &chat_id, &answer, session),
    }
}

impl AskFlags {
    fn is_vision(&self) -> Result<bool, CliError> {
        self.detail
            .is_vision(self.chat.as_ref(), !self.images.is_empty(), "--image")
    }
}

fn read_question(argument: &str) -> Result<String, CliError> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut question = String::new();
    io::stdin()
        .lock()
        .take(STDIN_LIMIT)
        .read_to_string(&mut question)
        .map_err(|source| CliError::Stdin { source })?;
    question.truncate(question.trim_end().len());
    Ok(question)
}

fn read_schema(path: &Path) -> Result<Value, CliError> {
    let text = std::fs::read_to_string(path).map_err(|source| CliError::SchemaFile {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_str(&text).map_err(|source| CliError::SchemaMalformed {
        path: path.to_owned(),
        source,
    })
}

/// Asks in the chat named, or in a new one; a new chat whose question is refused is not left
/// behind.
fn start(
    trainer: &LongTrainer,
    flags: &AskFlags,
    vision: bool,
    question: &str,
    schema: Option<Value>,
) -> longtrainer::Result<(AnyChatId, ResponseStream)> {
    let options = ResponseOptions {
        schema,
        detail: flags.detail.to_detail(),
        adapter: flags.answer.load_adapter()?,
        ..flags.answer.to_options(trainer)
    };
    if let Some(chat_id) = &flags.chat {
        let stream = chat_id.ask(trainer, &flags.bot, question, &flags.images, options)?;
        return Ok((chat_id.clone(), stream));
    }
    let chat_id = AnyChatId::make(trainer, &flags.bot, vision)?;
    match chat_id.ask(trainer, &flags.bot, question, &flags.images, options) {
        Ok(stream) => Ok((chat_id, stream)),
        Err(error) => {
            chat_id.delete(trainer)?;
            Err(error)
        }
    }
}

fn finish(
    flags: &AskFlags,
    chat_id: &AnyChatId,
    answer: &Answer,
    mut session: Session,
) -> anyhow::Result<()> {
    session.output.line("")?;
    answer::print_sources(&mut session.output, &answer.sources)?;
    answer::tell(answer, session.notes);
    if flags.chat.is_none() {
        session.notes.say(format_args!(
            "Chat: {chat_id} (--chat {chat_id} goes on with it)"
        ));
    }
    Ok(())
}

/// What `--json` prints.
#[derive(Serialize)]
struct AnswerJson<'a> {
    bot_id: &'a BotId,
    chat_id: String,
    turn: u64,
    answer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    sources: Vec<SourceJson<'a>>,
    retrieval: &'a RetrievalUse,
    web_sources: &'a [String],
    finish_reason: &'static str,
    usage: UsageJson,
    history: HistoryUse,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing_pictures: &'a [MissingPicture],
}

#[derive(Serialize)]
struct SourceJson<'a> {
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<u64>,
    score: f32,
    document_id: u64,
    chunk_id: u64,
    page_content: &'a str,
}

#[derive(Serialize)]
struct UsageJson {
    prompt_tokens: usize,
    completion_tokens: usize,
    time_to_first_token_ms: f64,
    tokens_per_second: f64,
}

impl<'a> AnswerJson<'a> {
    fn new(bot_id: &'a BotId, chat_id: &AnyChatId, answer: &'a Answer) -> Self {
        Self {
            bot_id,
            chat_id: chat_id.to_string(),
            turn: answer.turn,
            answer: &answer.text,
            data: answer.data.as_ref(),
            sources: answer.sources.iter().map(SourceJson::of).collect(),
            retrieval: &answer.retrieval,
            web_sources: &answer.web_sources,
            finish_reason: match answer.finish_reason {
                FinishReason::Stop => "stop",
                FinishReason::Length => "length",
            },
            usage: UsageJson {
                prompt_tokens: answer.usage.prompt_tokens,
                completion_tokens: answer.usage.completion_tokens,
                time_to_first_token_ms: milliseconds_to_first_token(&answer.usage),
                tokens_per_second: tokens_per_second(&answer.usage),
            },
            history: answer.history,
            missing_pictures: &answer.missing_pictures,
        }
    }
}

impl<'a> SourceJson<'a> {
    fn of(document: &'a RetrievedDocument) -> Self {
        Self {
            source: document.source(),
            page: number(&document.metadata, "page"),
            row: number(&document.metadata, "row"),
            score: document.score,
            document_id: document.document_id,
            chunk_id: document.chunk_id,
            page_content: &document.page_content,
        }
    }
}
