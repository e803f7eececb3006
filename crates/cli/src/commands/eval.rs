//! `eval`: measuring on questions whose answers are known. The data folder is not touched.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use longtrainer::RetrievalEvaluation;
use longtrainer::models::Role;

use crate::error::CliError;
use crate::model_files::ensure;
use crate::output::Output;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Measure how often retrieval finds the right passage
    Retrieval(RetrievalFlags),
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
    }
}

fn retrieval(flags: RetrievalFlags, mut session: Session) -> anyhow::Result<()> {
    let mut settings = session.places.settings()?;
    if flags.embedding_model.is_some() {
        settings.defaults.embedding_model = flags.embedding_model;
    }
    let model = settings.defaults.embedding_model.clone();
    let scratch =
        tempfile::tempdir().map_err(CliError::io("make a folder in", std::env::temp_dir()))?;
    let trainer = session.trainer_in(scratch.path(), settings)?;
    let registry_default = || {
        trainer
            .models()
            .default_for(Role::Embedding)
            .map(|e| e.name.clone())
    };
    if let Some(name) = model.or_else(registry_default) {
        ensure(trainer.models(), &name, session.notes)?;
    }
    let evaluation = trainer.evaluate_retrieval(&flags.file)?;
    match flags.json {
        true => session.output.json(&evaluation),
        false => print(&mut session.output, &evaluation),
    }
}

fn print(output: &mut Output, evaluation: &RetrievalEvaluation) -> anyhow::Result<()> {
    output.line(&format!("passages   {}", evaluation.passages))?;
    output.line(&format!("questions  {}", evaluation.questions))?;
    output.line(&format!("recall@1   {:.4}", evaluation.recall_at_1))?;
    output.line(&format!("recall@3   {:.4}", evaluation.recall_at_3))?;
    output.line(&format!("recall@10  {:.4}", evaluation.recall_at_10))?;
    Ok(())
}
