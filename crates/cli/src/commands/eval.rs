//! `eval`: measuring on questions whose answers are known. The data folder is not touched.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use longtrainer::models::Role;
use longtrainer::{FollowUpEvaluation, LongTrainer, RetrievalEvaluation, VqaAnswer, VqaEvaluation};
use tempfile::TempDir;

use crate::error::CliError;
use crate::model_files::ensure;
use crate::output::Output;
use crate::session::Session;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Measure how often retrieval finds the right passage
    Retrieval(RetrievalFlags),
    /// Measure it for questions that follow others in a chat
    FollowUps(RetrievalFlags),
    /// Measure how often a vision model answers questions about pictures rightly
    Vqa(VqaFlags),
}

#[derive(Debug, Args)]
pub(crate) struct VqaFlags {
    /// Folder with questions.json and images/, as the Python package easy-vqa lays them out
    folder: PathBuf,
    /// Vision model: a registry name
    #[arg(long, value_name = "MODEL")]
    vision_model: Option<String>,
    /// Ask only the first N questions
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Write each answer to this file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetrievalFlags {
    /// Questions and passages in SQuAD's JSON layout; each paragraph is one passage
    file: PathBuf,
    /// Embedding model: a registry name or a folder
    #[arg(long, value_name = "MODEL")]
    embedding_model: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: EvalCommand, session: Session) -> anyhow::Result<()> {
    match command {
        EvalCommand::Retrieval(flags) => retrieval(flags, session),
        EvalCommand::FollowUps(flags) => follow_ups(flags, session),
        EvalCommand::Vqa(flags) => vqa(flags, session),
    }
}

fn retrieval(flags: RetrievalFlags, mut session: Session) -> anyhow::Result<()> {
    let scratch = scratch_folder()?;
    let trainer = retrieval_trainer(&flags, &session, scratch.path())?;
    let evaluation = trainer.evaluate_retrieval(&flags.file)?;
    match flags.json {
        true => session.output.json(&evaluation),
        false => print(&mut session.output, &evaluation),
    }
}

fn follow_ups(flags: RetrievalFlags, mut session: Session) -> anyhow::Result<()> {
    let scratch = scratch_folder()?;
    let trainer = retrieval_trainer(&flags, &session, scratch.path())?;
    let evaluation = trainer.evaluate_follow_ups(&flags.file)?;
    match flags.json {
        true => session.output.json(&evaluation),
        false => print_follow_ups(&mut session.output, &evaluation),
    }
}

fn scratch_folder() -> Result<TempDir, CliError> {
    tempfile::tempdir().map_err(CliError::io("make a folder in", std::env::temp_dir()))
}

fn vqa(flags: VqaFlags, mut session: Session) -> anyhow::Result<()> {
    let scratch = scratch_folder()?;
    let mut settings = session.places.settings()?;
    if flags.vision_model.is_some() {
        settings.defaults.vision_model = flags.vision_model;
    }
    let trainer = trainer(settings, Role::Vision, &session, scratch.path())?;
    let mut answers = flags.answers.as_deref().map(AnswerFile::create);
    let mut answers = answers.take().transpose()?;
    let evaluation = trainer.evaluate_vqa(&flags.folder, flags.limit, &mut |answer| {
        if let Some(answers) = &mut answers {
            answers.write(answer);
        }
    })?;
    if let Some(answers) = answers {
        answers.finish()?;
    }
    match flags.json {
        true => session.output.json(&evaluation),
        false => print_vqa(&mut session.output, &evaluation),
    }
}

/// A file with a line of JSON for each answer. What goes wrong is told at the end.
struct AnswerFile {
    path: PathBuf,
    lines: BufWriter<File>,
    outcome: std::io::Result<()>,
}

impl AnswerFile {
    fn create(path: &Path) -> Result<Self, CliError> {
        Ok(Self {
            path: path.to_owned(),
            lines: BufWriter::new(File::create(path).map_err(CliError::io("create", path))?),
            outcome: Ok(()),
        })
    }

    fn write(&mut self, answer: &VqaAnswer) {
        if self.outcome.is_ok() {
            let written = serde_json::to_writer(&mut self.lines, answer).map_err(Into::into);
            self.outcome = written.and_then(|()| writeln!(self.lines));
        }
    }

    fn finish(mut self) -> Result<(), CliError> {
        let flushed = self.outcome.and_then(|()| self.lines.flush());
        flushed.map_err(CliError::io("write", &self.path))
    }
}

fn retrieval_trainer(
    flags: &RetrievalFlags,
    session: &Session,
    scratch: &Path,
) -> anyhow::Result<LongTrainer> {
    let mut settings = session.places.settings()?;
    if flags.embedding_model.is_some() {
        settings
            .defaults
            .embedding_model
            .clone_from(&flags.embedding_model);
    }
    trainer(settings, Role::Embedding, session, scratch)
}

/// A trainer over a folder that is thrown away, with the model of the role that is measured.
fn trainer(
    settings: Settings,
    role: Role,
    session: &Session,
    scratch: &Path,
) -> anyhow::Result<LongTrainer> {
    let model = match role {
        Role::Vision => settings.defaults.vision_model.clone(),
        _ => settings.defaults.embedding_model.clone(),
    };
    let trainer = session.trainer_in(scratch, settings)?;
    let registry_default = || {
        let entry = trainer.models().default_for(role);
        entry.map(|entry| entry.name.clone())
    };
    if let Some(name) = model.or_else(registry_default) {
        ensure(trainer.models(), &name, session.notes)?;
    }
    Ok(trainer)
}

fn print_vqa(output: &mut Output, evaluation: &VqaEvaluation) -> anyhow::Result<()> {
    let row = |name: &str, questions: usize, accuracy: f64| {
        [
            name.to_owned(),
            questions.to_string(),
            format!("{accuracy:.4}"),
        ]
    };
    let kinds = evaluation.kinds.iter();
    let mut rows: Vec<_> = kinds
        .map(|(name, kind)| row(name, kind.questions, kind.accuracy))
        .collect();
    rows.push(row("all", evaluation.questions, evaluation.accuracy));
    Ok(output.table(["KIND", "QUESTIONS", "ACCURACY"], &rows)?)
}

fn print(output: &mut Output, evaluation: &RetrievalEvaluation) -> anyhow::Result<()> {
    output.line(&format!("passages   {}", evaluation.passages))?;
    output.line(&format!("questions  {}", evaluation.questions))?;
    output.line(&format!("recall@1   {:.4}", evaluation.recall_at_1))?;
    output.line(&format!("recall@3   {:.4}", evaluation.recall_at_3))?;
    output.line(&format!("recall@10  {:.4}", evaluation.recall_at_10))?;
    Ok(())
}

fn print_follow_ups(output: &mut Output, evaluation: &FollowUpEvaluation) -> anyhow::Result<()> {
    let row = |name: &str, of: &longtrainer::FollowUpRecall| {
        [
            name.to_owned(),
            of.questions.to_string(),
            format!("{:.4}", of.alone),
            format!("{:.4}", of.with_conversation),
        ]
    };
    let rows = [
        row("self-contained", &evaluation.self_contained),
        row("elliptical", &evaluation.elliptical),
        row("changed subject", &evaluation.changed_subject),
    ];
    let head = ["RECALL@3", "QUESTIONS", "ALONE", "WITH CONVERSATION"];
    Ok(output.table(head, &rows)?)
}
