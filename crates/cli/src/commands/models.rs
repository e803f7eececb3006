//! `models`: what models there are, and their files on this machine. The data folder is not
//! touched.

use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use longtrainer::models::{FileState, ModelEntry, ModelStatus, Registry, Role};
use serde::Serialize;

use crate::confirm;
use crate::error::CliError;
use crate::model_files::{pull, size, size_text};
use crate::output::Output;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models and whether they are on this machine
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch models; without names, the default ones
    Pull(PullFlags),
    /// Hash every file again; without names, of all models that are here
    Verify {
        /// Names of models
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Print the folder of a model
    Path {
        /// Name of the model
        name: String,
    },
    /// Delete a model's files
    Remove {
        /// Name of the model
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PullFlags {
    /// Names of models
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Fetch every model there is
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

pub(crate) fn run(command: ModelsCommand, session: Session) -> anyhow::Result<()> {
    let registry = session.registry()?;
    match command {
        ModelsCommand::List { json } => list(&registry, json, session),
        ModelsCommand::Pull(flags) => pull_all(&registry, flags, session),
        ModelsCommand::Verify { names } => verify_all(&registry, names, session),
        ModelsCommand::Path { name } => path(&registry, &name, session),
        ModelsCommand::Remove { name, yes } => remove(&registry, &name, yes, &session),
    }
}

/// A model as `list --json` tells of it.
#[derive(Serialize)]
struct ModelJson<'a> {
    name: &'a str,
    role: String,
    default: bool,
    status: &'static str,
    /// The folder of a model that is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    /// What is missing or wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Bytes of its files, as far as the list of models gives them.
    size: u64,
    /// Whether these are all.
    size_is_exact: bool,
    licence: &'a str,
    description: &'a str,
}

impl<'a> ModelJson<'a> {
    fn of(registry: &Registry, entry: &'a ModelEntry) -> Self {
        let (status, folder, reason) = told(registry.status(&entry.name));
        Self {
            name: &entry.name,
            role: entry.role.to_string(),
            default: entry.default,
            status,
            folder,
            reason,
            size: entry.least_size(),
            size_is_exact: entry.total_size().is_some(),
            licence: &entry.licence,
            description: &entry.description,
        }
    }
}

/// A status in a word, with the folder or what is wrong.
fn told(status: ModelStatus) -> (&'static str, Option<String>, Option<String>) {
    match status {
        ModelStatus::Ready { folder } => ("ready", Some(folder.display().to_string()), None),
        ModelStatus::Missing { files } => ("missing", None, Some(files.join(", "))),
        ModelStatus::Damaged { reason } => ("damaged", None, Some(reason)),
        _ => ("unknown", None, None),
    }
}

fn list(registry: &Registry, json: bool, mut session: Session) -> anyhow::Result<()> {
    let models: Vec<_> = registry
        .models()
        .iter()
        .map(|entry| ModelJson::of(registry, entry))
        .collect();
    if json {
        return session.output.json(&models);
    }
    let rows: Vec<_> = models.iter().map(row).collect();
    session
        .output
        .table(["MODEL", "ROLE", "STATUS", "SIZE", "LICENCE"], &rows)?;
    session.notes.say(format_args!(
        "Models folder: {}",
        registry.models_dir().display()
    ));
    Ok(())
}

fn row(model: &ModelJson<'_>) -> [String; 5] {
    let role = if model.default {
        format!("{} (default)", model.role)
    } else {
        model.role.clone()
    };
    let size = size_text(model.size, model.size_is_exact);
    [
        model.name.to_owned(),
        role,
        model.status.to_owned(),
        size,
        model.licence.to_owned(),
    ]
}

fn pull_all(registry: &Registry, flags: PullFlags, mut session: Session) -> anyhow::Result<()> {
    let names = match (flags.all, flags.names.is_empty()) {
        (true, _) => registry
            .models()
            .iter()
            .map(|entry| entry.name.clone())
            .collect(),
        (false, true) => default_names(registry),
        (false, false) => flags.names,
    };
    for name in &names {
        registry.entry(name).map_err(longtrainer::Error::from)?;
    }
    for name in &names {
        let local = pull(registry, name, session.notes)?;
        session
            .output
            .line(&format!("{name}  {}", local.folder.display()))?;
    }
    Ok(())
}

fn default_names(registry: &Registry) -> Vec<String> {
    [Role::Embedding, Role::Text, Role::Vision]
        .into_iter()
        .filter_map(|role| registry.default_for(role))
        .map(|entry| entry.name.clone())
        .collect()
}

fn verify_all(registry: &Registry, names: Vec<String>, mut session: Session) -> anyhow::Result<()> {
    let names = if names.is_empty() {
        present_names(registry)
    } else {
        names
    };
    let mut broken = Vec::new();
    for name in names {
        if !verify(registry, &name, &mut session.output)? {
            broken.push(name);
        }
    }
    match broken.is_empty() {
        true => Ok(()),
        false => Err(CliError::ModelsNotWhole { models: broken }.into()),
    }
}

/// The models of which anything is on this machine.
fn present_names(registry: &Registry) -> Vec<String> {
    let is_here = |entry: &&ModelEntry| match registry.status(&entry.name) {
        ModelStatus::Missing { files } => files.len() < entry.files.len(),
        _ => true,
    };
    registry
        .models()
        .iter()
        .filter(is_here)
        .map(|entry| entry.name.clone())
        .collect()
}

/// Prints how each file of a model is; whether all are whole.
fn verify(registry: &Registry, name: &str, output: &mut Output) -> anyhow::Result<bool> {
    let report = registry.verify(name).map_err(longtrainer::Error::from)?;
    for file in &report.files {
        let state = match &file.state {
            FileState::Whole => "whole".to_owned(),
            FileState::Unchanged => "unchanged since it was first seen".to_owned(),
            FileState::FirstSeen { sha256 } => format!("seen for the first time: sha256 {sha256}"),
            FileState::Missing => "MISSING".to_owned(),
            FileState::WrongSize { expected, actual } => {
                format!("DAMAGED: {actual} bytes, should be {expected}")
            }
            FileState::WrongHash { expected, actual } => {
                format!("DAMAGED: sha256 {actual}, should be {expected}")
            }
            FileState::Changed { before, actual, .. } => {
                format!("CHANGED: sha256 {actual}, was {before} when it was first seen")
            }
            FileState::OtherRevision { fetched_from, .. } => {
                format!("OF ANOTHER REVISION: {fetched_from}")
            }
            other => format!("DAMAGED: {other:?}"),
        };
        output.line(&format!("{name}  {}  {state}", file.path.display()))?;
    }
    Ok(report.is_whole())
}

fn path(registry: &Registry, name: &str, mut session: Session) -> anyhow::Result<()> {
    let local = registry.locate(name).map_err(longtrainer::Error::from)?;
    Ok(session.output.line(&local.folder.display().to_string())?)
}

fn remove(registry: &Registry, name: &str, yes: bool, session: &Session) -> anyhow::Result<()> {
    let entry = registry.entry(name).map_err(longtrainer::Error::from)?;
    let size = size(entry);
    confirm::deletion(
        &format!(
            "model {name} ({size}) from {}",
            registry.models_dir().display()
        ),
        yes,
    )?;
    let freed = registry.remove(name).map_err(longtrainer::Error::from)?;
    session
        .notes
        .say(format_args!("Freed {}", HumanBytes(freed)));
    Ok(())
}
