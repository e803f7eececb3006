//! `serve`: the HTTP interface over this data folder, until Ctrl-C.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use longtrainer::LongTrainer;
use longtrainer::models::Role;
use longtrainer_server::config::{Plan, ServeSection, checked};
use longtrainer_server::{Server, ServerOptions, start_log};

use crate::model_files::ensure;
use crate::notes::Notes;
use crate::session::Session;
use crate::settings::Settings;

/// How long work that has been given up may hold the end of the program up.
const LEFTOVERS: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    #[command(flatten)]
    serve: ServeSection,
    /// Check everything, print what would be used, and start nothing
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(flags: ServeFlags, mut session: Session) -> anyhow::Result<()> {
    let mut settings = session.places.settings()?;
    let given = flags.serve.over(ServeSection::from_env());
    let section = given.over(settings.config.serve);
    start_log(section.log_format.unwrap_or_default(), session.verbosity)?;
    let options = section.clone().options()?;
    settings.links = section.links()?;
    settings.config.serve = section;
    if flags.check {
        return check(options, settings, session);
    }
    options.check()?;
    let trainer = session.trainer_in(&session.places.data_dir, settings)?;
    options.check_keys(trainer.has_keys())?;
    fetch_models(&trainer, session.notes)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let served = runtime.block_on(async {
        let server = Server::bind(trainer, options).await?;
        session.output.line(&server.greeting())?;
        Ok(server.run().await?)
    });
    runtime.shutdown_timeout(LEFTOVERS);
    served
}

fn check(options: ServerOptions, settings: Settings, mut session: Session) -> anyhow::Result<()> {
    let mut config = settings.config.clone();
    config.models.memory_budget = Some(settings.memory_budget);
    config.models.keep_alive = Some(settings.keep_alive);
    let plan = Plan {
        settings_file: session.places.config.clone(),
        data_dir: session.places.data_dir.clone(),
        config,
        options,
    };
    let told = checked(&plan, || session.open(&plan.data_dir, settings))?;
    Ok(session.output.piece(&told)?)
}

/// Fetches the models of all bots and those of bots to come. A server without one of them still
/// does most of its work, so a failure is only told.
fn fetch_models(trainer: &LongTrainer, notes: Notes) -> anyhow::Result<()> {
    for name in model_names(trainer)? {
        if let Err(error) = ensure(trainer.models(), &name, notes) {
            notes.warn(error);
        }
    }
    Ok(())
}

fn model_names(trainer: &LongTrainer) -> longtrainer::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for bot in trainer.list_bots()? {
        names.insert(trainer.embedding_model_name(&bot)?);
        names.insert(trainer.text_model_name(&bot)?);
        names.extend(bot.settings.vision_model);
    }
    let defaults = trainer.defaults();
    for (chosen, role) in [
        (&defaults.embedding_model, Role::Embedding),
        (&defaults.text_model, Role::Text),
        (&defaults.vision_model, Role::Vision),
    ] {
        let registry_default = || trainer.models().default_for(role).map(|e| e.name.clone());
        names.extend(chosen.clone().or_else(registry_default));
    }
    Ok(names)
}
