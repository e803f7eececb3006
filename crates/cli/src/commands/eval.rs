//! `eval`: measuring on questions whose answers are known. The data folder is not touched.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use longtrainer::models::Role;
use longtrainer::{FollowUpEvaluation, LongTrainer, RetrievalEvaluation};
use tempfile::TempDir;

use crate::error::CliError;
use crate::model_files::ensure;
use crate::output::Output;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Measure how often retrieval finds the right passage
    Retrieval(RetrievalFlags),
    /// Measure it for questions that follow others in a chat
    FollowUps(RetrievalFlags),
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
    }
}

fn retrieval(flags: RetrievalFlags, mut session: Session) -> anyhow::Result<()> {
    let scratch = scratch_folder()?;
    let evaluation = trainer(&flags, &session, scratch.path())?.evaluate_retrieval(&flags.file)?;
    match flags.json {
        true => session.output.json(&evaluation),
        false => print(&mut session.output, &evaluation),
    }
}

fn follow_ups(flags: RetrievalFlags, mut session: Session) -> anyhow::Result<()> {
    let scratch = scratch_folder()?;
    let evaluation = trainer(&flags, &session, scratch.path())?.evaluate_follow_ups(&flags.file)?;
    match flags.json {
        true => session.output.json(&evaluation),
        false => print_follow_ups(&mut session.output, &evaluation),
    }
}

fn scratch_folder() -> Result<TempDir, CliError> {
    tempfile::tempdir().map_err(CliError::io("make a folder in", std::env::temp_dir()))
}

/// A trainer over a folder that is thrown away, with the embedding model that is measured.
fn trainer(
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
    let model = settings.defaults.embedding_model.clone();
    let trainer = session.trainer_in(scratch, settings)?;
    let registry_default = || {
        trainer
            .models()
            .default_for(Role::Embedding)
            .map(|e| e.name.clone())
    };
    if let Some(name) = model.or_else(registry_default) {
        ensure(trainer.models(), &name, session.notes)?;
    }
    Ok(trainer)
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
