//! `serve`: the HTTP interface over this data folder, until Ctrl-C.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use longtrainer::LongTrainer;
use longtrainer::models::Role;
use longtrainer_server::{Server, ServerOptions};

use crate::model_files::ensure;
use crate::notes::Notes;
use crate::session::Session;

/// How long work that has been given up may hold the end of the program up.
const LEFTOVERS: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    /// Address to listen on, one of this machine alone [default: as in the settings, 127.0.0.1]
    #[arg(long, value_name = "IP")]
    host: Option<IpAddr>,
    /// Port to listen on; 0 takes a free one [default: as in the settings, 8000]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Folder whose files clients may have added or looked at by path; may be given more than once
    #[arg(long, value_name = "DIR")]
    allow_dir: Vec<PathBuf>,
}

pub(crate) fn run(flags: ServeFlags, mut session: Session) -> anyhow::Result<()> {
    let settings = session.places.settings()?;
    let options = ServerOptions {
        host: flags.host.unwrap_or(settings.host),
        port: flags.port.unwrap_or(settings.port),
        allow_dirs: flags.allow_dir,
        ..ServerOptions::default()
    };
    let trainer = session.trainer_in(&session.places.data_dir, settings)?;
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
