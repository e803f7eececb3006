//! `train`: what was asked and answered becomes a document of the bot.

use clap::Args;
use longtrainer::BotId;

use crate::commands::bot::tell_build;
use crate::model_files::ensure_embedder;
use crate::output::counted;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct TrainFlags {
    /// The bot's id
    bot: BotId,
}

pub(crate) fn run(flags: TrainFlags, mut session: Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    ensure_embedder(&trainer, &trainer.bot(&flags.bot)?, session.notes)?;
    let report = trainer.train_chats(&flags.bot)?;
    session.output.line(&report.message)?;
    if let Some(path) = &report.csv_path {
        session.output.line(&format!(
            "{}, {}",
            counted(report.turns, "turn"),
            path.display()
        ))?;
    }
    if let Some(build) = report.build {
        tell_build(build, session.notes);
    }
    Ok(())
}
