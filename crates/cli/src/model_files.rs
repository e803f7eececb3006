//! Seeing to it that the models a command needs are on this machine. The library never downloads;
//! the command does, and says what, how much and where to.

use std::path::Path;

use indicatif::HumanBytes;
use longtrainer::models::{LocalModel, ModelEntry, ModelStatus, Registry};
use longtrainer::{BotRecord, LongTrainer, Result};

use crate::notes::Notes;
use crate::progress::PullBar;

/// Fetches the bot's embedding model if it is not here.
pub(crate) fn ensure_embedder(trainer: &LongTrainer, bot: &BotRecord, notes: Notes) -> Result<()> {
    ensure(trainer.models(), &trainer.embedding_model_name(bot)?, notes)
}

/// Fetches both of the bot's models as far as they are not here.
pub(crate) fn ensure_both(trainer: &LongTrainer, bot: &BotRecord, notes: Notes) -> Result<()> {
    ensure_embedder(trainer, bot, notes)?;
    ensure(trainer.models(), &trainer.text_model_name(bot)?, notes)
}

/// Fetches what a question about pictures needs, as far as it is not here: the vision model, and the
/// embedding model if the bot has anything to search.
pub(crate) fn ensure_for_vision(
    trainer: &LongTrainer,
    bot: &BotRecord,
    notes: Notes,
) -> Result<()> {
    if bot.vector_space.is_some() {
        ensure_embedder(trainer, bot, notes)?;
    }
    ensure(trainer.models(), &trainer.vision_model_name(bot)?, notes)
}

/// Fetches a model if it is not here. A path is left to the library, which says what is wrong with
/// it.
pub(crate) fn ensure(registry: &Registry, name: &str, notes: Notes) -> Result<()> {
    if Path::new(name).exists() {
        return Ok(());
    }
    let local = pull(registry, name, notes)?;
    match &local.entry.text {
        Some(text) => ensure(registry, text, notes),
        None => Ok(()),
    }
}

/// Fetches what is missing or damaged of a model.
pub(crate) fn pull(registry: &Registry, name: &str, notes: Notes) -> Result<LocalModel> {
    let entry = registry.entry(name)?;
    let is_here = matches!(registry.status(name), ModelStatus::Ready { .. });
    if !is_here && !registry.is_offline() {
        let size = size(entry);
        let folder = registry.models_dir().join(name);
        notes.say(format_args!(
            "Fetching {name} ({size}) into {}",
            folder.display()
        ));
    }
    Ok(registry.pull(name, &mut PullBar::new(notes))?)
}

/// The size of a model's files, for a person.
pub(crate) fn size(entry: &ModelEntry) -> String {
    size_text(entry.least_size(), entry.total_size().is_some())
}

/// A size in bytes, for a person; one that is not exact is the least.
pub(crate) fn size_text(bytes: u64, is_exact: bool) -> String {
    match is_exact {
        true => HumanBytes(bytes).to_string(),
        false => format!("at least {}", HumanBytes(bytes)),
    }
}
