//! `search`: the nearest passages, without an answer.

use clap::Args;
use longtrainer::BotId;

use crate::answer::tell_retrieval;
use crate::model_files::{ensure_both, ensure_embedder};
use crate::output::excerpt;
use crate::session::Session;
use crate::source_line::place_of;

/// Characters of a passage that a person is shown.
const EXCERPT: usize = 200;

#[derive(Debug, Args)]
pub(crate) struct SearchFlags {
    /// The bot's id
    bot: BotId,
    /// What to look for
    query: String,
    /// Passages to find [default: the bot's num_k]
    #[arg(short = 'k', long, value_name = "N")]
    num_k: Option<usize>,
    /// Print JSON, with whole passages
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(flags: SearchFlags, mut session: Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let bot = trainer.bot(&flags.bot)?;
    match bot.settings.ensemble.unwrap_or(trainer.defaults().ensemble) {
        true => ensure_both(&trainer, &bot, session.notes)?,
        false => ensure_embedder(&trainer, &bot, session.notes)?,
    }
    let found = trainer.retrieve(&flags.bot, &flags.query, flags.num_k)?;
    tell_retrieval(&found.retrieval, session.notes);
    let found = found.documents;
    if flags.json {
        return session.output.json(&found);
    }
    for document in &found {
        let place = place_of(&document.metadata);
        session
            .output
            .line(&format!("{:.3}  {place}", document.score))?;
        session.output.line(&format!(
            "       {}",
            excerpt(&document.page_content, EXCERPT)
        ))?;
    }
    if found.is_empty() {
        session
            .notes
            .say("Nothing found: the bot has no documents.");
    }
    Ok(())
}
