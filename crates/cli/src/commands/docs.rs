//! `docs`: what a bot's documents are, and removing some.

use std::path::Path;

use clap::{Args, Subcommand};
use longtrainer::{BotId, LongTrainer};
use serde_json::Value;

use crate::error::CliError;
use crate::output::counted;
use crate::session::Session;
use crate::source_line::place_of;

#[derive(Debug, Subcommand)]
pub(crate) enum DocsCommand {
    /// List a bot's documents, in the order they were added
    List {
        /// The bot's id
        bot: BotId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove documents, by id or by the file they came from
    Remove(RemoveFlags),
}

#[derive(Debug, Args)]
pub(crate) struct RemoveFlags {
    /// The bot's id
    bot: BotId,
    /// Ids of documents, as `docs list` shows them
    #[arg(value_name = "DOC_ID", required_unless_present = "source")]
    documents: Vec<u64>,
    /// Remove every document that came from this file
    #[arg(long, value_name = "PATH", conflicts_with = "documents")]
    source: Option<String>,
}

pub(crate) fn run(command: DocsCommand, session: Session) -> anyhow::Result<()> {
    match command {
        DocsCommand::List { bot, json } => list(&bot, json, session),
        DocsCommand::Remove(flags) => remove(flags, &session),
    }
}

fn list(bot_id: &BotId, json: bool, mut session: Session) -> anyhow::Result<()> {
    let documents = session.trainer()?.list_documents(bot_id)?;
    if json {
        return session.output.json(&documents);
    }
    let rows: Vec<_> = documents
        .iter()
        .map(|document| {
            let chunks = document
                .chunks
                .map_or("waiting".to_owned(), |count| count.to_string());
            let characters = document.characters.to_string();
            [
                document.document_id.to_string(),
                chunks,
                characters,
                place_of(&document.metadata),
            ]
        })
        .collect();
    Ok(session
        .output
        .table(["ID", "PASSAGES", "CHARACTERS", "SOURCE"], &rows)?)
}

fn remove(flags: RemoveFlags, session: &Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let ids = match &flags.source {
        Some(source) => documents_from(&trainer, &flags.bot, source)?,
        None => flags.documents,
    };
    let chunks = trainer.remove_documents(&flags.bot, &ids)?;
    session.notes.say(format_args!(
        "Removed {} ({})",
        counted(ids.len(), "document"),
        counted(chunks, "passage")
    ));
    Ok(())
}

/// The documents of a source: the text as it is, or the file it names, which may be gone.
fn documents_from(trainer: &LongTrainer, bot_id: &BotId, source: &str) -> anyhow::Result<Vec<u64>> {
    let path = Path::new(source);
    let resolved = path
        .canonicalize()
        .or_else(|_| std::path::absolute(path))
        .ok();
    let is_source = |value: &str| {
        value == source
            || resolved
                .as_deref()
                .is_some_and(|path| path == Path::new(value))
    };
    let ids: Vec<_> = trainer
        .list_documents(bot_id)?
        .into_iter()
        .filter(|document| {
            document
                .metadata
                .get("source")
                .and_then(Value::as_str)
                .is_some_and(is_source)
        })
        .map(|document| document.document_id)
        .collect();
    match ids.is_empty() {
        false => Ok(ids),
        true => Err(CliError::NoSuchSource {
            bot_id: bot_id.to_string(),
            source_name: source.to_owned(),
        }
        .into()),
    }
}
