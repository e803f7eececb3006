//! `add-doc`: files, folders and links become documents, and the bot is built. A file that cannot be
//! loaded keeps no other out; it is reported, and the command ends with an error.

use std::path::{Path, PathBuf};

use clap::Args;
use longtrainer::{AddReport, BotId, BotOptions, LongTrainer};

use crate::commands::bot::{build, tell_build};
use crate::error::CliError;
use crate::model_files::ensure_embedder;
use crate::notes::{self, Notes};
use crate::output::counted;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct AddDocFlags {
    /// The bot's id
    bot: BotId,
    /// Files (PDF, DOCX, CSV, HTML, Markdown, text, JSON, JSON lines), folders, and links to public
    /// addresses
    #[arg(required = true, value_name = "PATH|LINK")]
    paths: Vec<PathBuf>,
    /// Which files of a folder are taken, by their path below it
    #[arg(long, default_value = "**/*")]
    glob: String,
    /// Take the results of this jq expression over a JSON file, a document each
    #[arg(long, value_name = "EXPR")]
    jq: Option<String>,
    /// Only store the documents; `bot build` makes them searchable later
    #[arg(long)]
    no_build: bool,
}

pub(crate) fn run(flags: AddDocFlags, session: Session) -> anyhow::Result<()> {
    let trainer = session.trainer()?;
    let bot = trainer.bot(&flags.bot)?;
    let mut adding = Adding {
        trainer: &trainer,
        flags: &flags,
        notes: session.notes,
        total: Total::default(),
    };
    for path in &flags.paths {
        adding.add(path)?;
    }
    let total = adding.total;
    total.tell(session.notes);
    if !flags.no_build {
        ensure_embedder(&trainer, &bot, session.notes)?;
        let report = build(&trainer, &flags.bot, BotOptions::default(), session.notes)?;
        tell_build(report, session.notes);
    }
    match total.failed {
        0 => Ok(()),
        failed => Err(CliError::FilesFailed { failed }.into()),
    }
}

/// Paths on their way into a bot.
struct Adding<'a> {
    trainer: &'a LongTrainer,
    flags: &'a AddDocFlags,
    notes: Notes,
    total: Total,
}

/// What has been added so far.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    added: usize,
    already_there: usize,
    skipped: usize,
    failed: usize,
}

impl Adding<'_> {
    /// A file at fault is counted; any other error ends the command.
    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        if path.is_dir() {
            return self.add_directory(path);
        }
        if let Some(link) = link(path) {
            return self.add_link(link);
        }
        match self.add_file(path) {
            Ok(report) => self.total.count(&report),
            Err(longtrainer::Error::Documents(error)) => self.fail(error.into()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn add_link(&mut self, link: String) -> anyhow::Result<()> {
        if self.flags.jq.is_some() {
            let reason = format!("--jq reads files, and {link} is a link");
            return Err(CliError::Usage { reason }.into());
        }
        match self
            .trainer
            .add_document_from_link(&[link], &self.flags.bot)
        {
            Ok(report) => self.total.count(&report),
            Err(longtrainer::Error::Documents(error)) => self.fail(error.into()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn add_file(&self, path: &Path) -> longtrainer::Result<AddReport> {
        match &self.flags.jq {
            Some(jq) => self
                .trainer
                .add_document_from_json(path, &self.flags.bot, jq),
            None => self.trainer.add_document_from_path(path, &self.flags.bot),
        }
    }

    fn add_directory(&mut self, path: &Path) -> anyhow::Result<()> {
        if self.flags.jq.is_some() {
            let reason = format!("--jq reads files, and {} is a folder", path.display());
            return Err(CliError::Usage { reason }.into());
        }
        let directory =
            self.trainer
                .add_document_from_directory(path, &self.flags.bot, &self.flags.glob)?;
        self.total.count(&directory.report);
        for file in &directory.skipped {
            self.notes.warn(format_args!(
                "skipped {}: no loader reads this format",
                file.display()
            ));
        }
        self.total.skipped += directory.skipped.len();
        directory
            .failures
            .into_iter()
            .for_each(|error| self.fail(error.into()));
        Ok(())
    }

    fn fail(&mut self, error: anyhow::Error) {
        notes::error(&error);
        self.total.failed += 1;
    }
}

/// The address of a page, if that is what stands in the place of a path.
fn link(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let is_link = ["http://", "https://"].iter().any(|scheme| {
        let start = text.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    is_link.then(|| text.to_owned())
}

impl Total {
    fn count(&mut self, report: &AddReport) {
        self.added += report.added.len();
        self.already_there += report.already_there;
    }

    fn tell(self, notes: Notes) {
        let Self {
            added,
            already_there,
            skipped,
            failed,
        } = self;
        notes.say(format_args!(
            "Added {}; there already: {already_there}, files skipped: {skipped}, failed: {failed}",
            counted(added, "document")
        ));
    }
}
