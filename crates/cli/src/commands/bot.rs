//! `bot`: the life of a bot.

use clap::Subcommand;
use longtrainer::{BotId, BotOptions, BotRecord, BuildReport, ChatKind, LongTrainer};
use serde::Serialize;

use crate::commands::bot_flags::BotFlags;
use crate::confirm;
use crate::model_files::{ensure, ensure_embedder};
use crate::notes::Notes;
use crate::output::{Output, counted, excerpt, seconds};
use crate::progress::BuildBar;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum BotCommand {
    /// Make a bot and print its id
    Create {
        #[command(flatten)]
        flags: BotFlags,
    },
    /// List the bots, oldest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a bot's settings and what it holds
    Show {
        /// The bot's id
        bot: BotId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a bot's settings; open chats follow
    Update {
        /// The bot's id
        bot: BotId,
        #[command(flatten)]
        flags: BotFlags,
    },
    /// Make documents searchable that are not yet
    Build {
        /// The bot's id
        bot: BotId,
    },
    /// Embed all documents again, with another model if one is named
    Reindex {
        /// The bot's id
        bot: BotId,
        /// Embedding model: a registry name or a folder
        #[arg(long, value_name = "MODEL")]
        embedding_model: Option<String>,
    },
    /// Delete a bot with its documents and chats
    Delete {
        /// The bot's id
        bot: BotId,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

pub(crate) fn run(command: BotCommand, session: Session) -> anyhow::Result<()> {
    match command {
        BotCommand::Create { flags } => create(flags, session),
        BotCommand::List { json } => list(json, session),
        BotCommand::Show { bot, json } => show(&bot, json, session),
        BotCommand::Update { bot, flags } => update(&bot, flags, &session),
        BotCommand::Build { bot } => build_command(&bot, &session),
        BotCommand::Reindex {
            bot,
            embedding_model,
        } => reindex(&bot, embedding_model.as_deref(), &session),
        BotCommand::Delete { bot, yes } => delete(&bot, yes, &session),
    }
}

/// A bot whose settings are refused is not left behind.
fn create(flags: BotFlags, mut session: Session) -> anyhow::Result<()> {
    let options = flags.into_options()?;
    let trainer = session.trainer()?;
    let bot_id = trainer.initialize_bot_id()?;
    if let Err(error) = trainer.create_bot(&bot_id, options) {
        trainer.delete_chatbot(&bot_id)?;
        return Err(error.into());
    }
    session.output.line(bot_id.as_str())?;
    session
        .notes
        .say(format_args!("Next: longtrainer add-doc {bot_id} PATH"));
    Ok(())
}

/// A table for a person; only the ids, one a line, for a program.
fn list(json: bool, mut session: Session) -> anyhow::Result<()> {
    let bots = session.trainer()?.list_bots()?;
    if json {
        return session.output.json(&bots);
    }
    if !session.output.is_terminal() {
        return Ok(bots
            .iter()
            .try_for_each(|bot| session.output.line(&bot.bot_id))?);
    }
    let rows: Vec<_> = bots
        .iter()
        .map(|bot| [bot.bot_id.clone(), seconds(bot.created_at), prompt_of(bot)])
        .collect();
    Ok(session.output.table(["BOT", "MADE", "PROMPT"], &rows)?)
}

fn prompt_of(bot: &BotRecord) -> String {
    bot.settings
        .prompt_template
        .as_ref()
        .map_or("(default)".to_owned(), |text| excerpt(text, 40))
}

/// A bot as `show` tells of it.
#[derive(Serialize)]
struct BotSummary {
    #[serde(flatten)]
    record: BotRecord,
    /// Documents, and how many of them wait for a build.
    documents: usize,
    waiting_documents: usize,
    chunks: u64,
    chats: usize,
    vision_chats: usize,
}

impl BotSummary {
    fn of(trainer: &LongTrainer, bot_id: &BotId) -> longtrainer::Result<Self> {
        let documents = trainer.list_documents(bot_id)?;
        Ok(Self {
            record: trainer.bot(bot_id)?,
            waiting_documents: documents.iter().filter(|d| d.chunks.is_none()).count(),
            chunks: documents
                .iter()
                .filter_map(|document| document.chunks)
                .sum(),
            documents: documents.len(),
            chats: trainer.chats(bot_id, ChatKind::Text)?.len(),
            vision_chats: trainer.chats(bot_id, ChatKind::Vision)?.len(),
        })
    }
}

fn show(bot_id: &BotId, json: bool, mut session: Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let summary = BotSummary::of(&trainer, bot_id)?;
    if json {
        return session.output.json(&summary);
    }
    print_summary(&mut session.output, &trainer, &summary)
}

fn print_summary(
    output: &mut Output,
    trainer: &LongTrainer,
    summary: &BotSummary,
) -> anyhow::Result<()> {
    let bot = &summary.record;
    let defaults = trainer.defaults();
    let chunking = bot.settings.chunking.unwrap_or(defaults.chunking);
    let built = bot.built_at.map_or("never".to_owned(), seconds);
    let prompt = bot
        .settings
        .prompt_template
        .as_ref()
        .unwrap_or(&defaults.prompt_template);
    let lines = [
        ("bot", bot.bot_id.clone()),
        ("made", seconds(bot.created_at)),
        ("built", built),
        (
            "documents",
            format!(
                "{} ({} waiting)",
                summary.documents, summary.waiting_documents
            ),
        ),
        ("chunks", summary.chunks.to_string()),
        (
            "chats",
            format!("{} ({} vision)", summary.chats, summary.vision_chats),
        ),
        ("text model", trainer.text_model_name(bot)?),
        ("embedding model", trainer.embedding_model_name(bot)?),
        (
            "vision model",
            trainer
                .vision_model_name(bot)
                .unwrap_or_else(|_| "none".to_owned()),
        ),
        (
            "keep pictures",
            bot.settings
                .keep_pictures
                .unwrap_or(defaults.keep_pictures)
                .to_string(),
        ),
        (
            "num_k",
            bot.settings.num_k.unwrap_or(defaults.num_k).to_string(),
        ),
        (
            "ensemble",
            bot.settings
                .ensemble
                .unwrap_or(defaults.ensemble)
                .to_string(),
        ),
        ("chunk size", chunking.chunk_size.to_string()),
        ("chunk overlap", chunking.chunk_overlap.to_string()),
    ];
    for (name, value) in lines {
        output.line(&format!("{:17}{value}", format!("{name}:")))?;
    }
    Ok(output.line(&format!("prompt:\n{prompt}"))?)
}

fn update(bot_id: &BotId, flags: BotFlags, session: &Session) -> anyhow::Result<()> {
    let options = flags.into_options()?;
    let trainer = session.trainer()?;
    if !trainer.list_documents(bot_id)?.is_empty() {
        ensure_embedder(&trainer, &trainer.bot(bot_id)?, session.notes)?;
    }
    let report = build(&trainer, bot_id, options, session.notes)?;
    tell_build(report, session.notes);
    Ok(())
}

fn build_command(bot_id: &BotId, session: &Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    ensure_embedder(&trainer, &trainer.bot(bot_id)?, session.notes)?;
    let report = build(&trainer, bot_id, BotOptions::default(), session.notes)?;
    tell_build(report, session.notes);
    Ok(())
}

/// Builds a bot with a progress bar.
pub(crate) fn build(
    trainer: &LongTrainer,
    bot_id: &BotId,
    options: BotOptions,
    notes: Notes,
) -> longtrainer::Result<BuildReport> {
    let mut bar = BuildBar::new(notes);
    trainer.create_bot_with(bot_id, options, &mut |progress| bar.show(progress))
}

/// Says what a build did.
pub(crate) fn tell_build(report: BuildReport, notes: Notes) {
    notes.say(format_args!(
        "Built {} ({}) in {:.1} s; built before: {}",
        counted(report.documents, "document"),
        counted(report.chunks, "passage"),
        report.elapsed.as_secs_f64(),
        report.already_built
    ));
}

fn reindex(bot_id: &BotId, embedding_model: Option<&str>, session: &Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let bot = trainer.bot(bot_id)?;
    match embedding_model {
        Some(model) => ensure(trainer.models(), model, session.notes)?,
        None => ensure_embedder(&trainer, &bot, session.notes)?,
    }
    let mut bar = BuildBar::new(session.notes);
    let report = trainer.reindex(bot_id, embedding_model, &mut |progress| bar.show(progress))?;
    drop(bar);
    tell_build(report, session.notes);
    Ok(())
}

fn delete(bot_id: &BotId, yes: bool, session: &Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let summary = BotSummary::of(&trainer, bot_id)?;
    let what = format!(
        "bot {bot_id} with {} and {}",
        counted(summary.documents, "document"),
        counted(summary.chats + summary.vision_chats, "chat")
    );
    confirm::deletion(&what, yes)?;
    trainer.delete_chatbot(bot_id)?;
    session.notes.say(format_args!("Deleted {what}"));
    Ok(())
}
