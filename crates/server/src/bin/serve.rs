//! The `serve` binary: settings, a trainer, a server.
//!
//! The flags that `longtrainer` has, too, carry the same names, defaults and variables, and both read
//! the same settings file, so that both programs find the same bots.
#![expect(
    clippy::print_stdout,
    reason = "a program tells where it listens, and what it would do"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{ArgAction, Parser};
use longtrainer::models::RegistryOptions;
use longtrainer::{Builder, DeviceChoice, KeepAlive, LongTrainer, MemoryBudget};
use longtrainer_server::config::{Config, Plan, ServeSection, checked};
use longtrainer_server::{Server, Verbosity, start_log};

/// How long threads may hold the end of the process up once the server has ended. A file that is
/// still being read is given up; its job is marked as failed at the next start.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Answer questions about your own documents over HTTP, on this machine.
#[derive(Debug, Parser)]
#[command(name = "serve", version, max_term_width = 100)]
struct Flags {
    /// Folder of bots, documents and chats [default: `longtrainer` in this user's data folder]
    #[arg(
        long,
        value_name = "DIR",
        env = "LONGTRAINER_DATA",
        hide_env_values = true
    )]
    data_dir: Option<PathBuf>,
    /// Folder of models [env: LONGTRAINER_MODELS=] [default: in this user's cache folder]
    #[arg(long, value_name = "DIR")]
    models_dir: Option<PathBuf>,
    /// Never use the network to fetch models [env: LONGTRAINER_OFFLINE=1 or HF_HUB_OFFLINE=1]
    #[arg(long)]
    offline: bool,
    /// Where models run: cpu, cuda, cuda:N, metal or auto
    #[arg(
        long,
        default_value = "auto",
        env = "LONGTRAINER_DEVICE",
        hide_env_values = true
    )]
    device: DeviceChoice,
    /// Memory that all models may take together, as `6GiB`, or unlimited [default: unlimited]
    #[arg(
        long,
        visible_alias = "memory",
        value_name = "SIZE",
        env = "LONGTRAINER_MEMORY_BUDGET",
        hide_env_values = true
    )]
    memory_budget: Option<MemoryBudget>,
    /// How long a model stays in memory when nobody uses it, as `10m`, or forever [default: forever]
    #[arg(
        long,
        value_name = "DURATION",
        env = "LONGTRAINER_KEEP_ALIVE",
        hide_env_values = true
    )]
    keep_alive: Option<KeepAlive>,
    /// Settings file [default: `longtrainer.toml` in the data folder]
    #[arg(
        long,
        value_name = "FILE",
        env = "LONGTRAINER_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// Check everything, print what would be used, and start nothing
    #[arg(long)]
    check: bool,
    /// Registry name or .gguf file of the text model [default: the registry's]
    #[arg(long, value_name = "MODEL")]
    text_model: Option<String>,
    /// Registry name or folder of the embedding model [default: the registry's]
    #[arg(long, value_name = "MODEL")]
    embedding_model: Option<String>,
    /// Registry name or path of the vision model [default: the registry's]
    #[arg(long, value_name = "MODEL")]
    vision_model: Option<String>,
    /// Say more on standard error; twice for everything
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Say only what goes wrong, not every request
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    #[command(flatten, next_help_heading = "Server")]
    serve: ServeSection,
}

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The settings say how the log is written; if they are wrong, the log says so as the flags have it.
fn run(flags: &Flags) -> anyhow::Result<()> {
    let plan = plan(flags);
    let format = match &plan {
        Ok(plan) => plan.config.serve.log_format,
        Err(_) => flags.serve.log_format,
    };
    start_log(format.unwrap_or_default(), verbosity(flags)).context("cannot start the log")?;
    serve(flags, plan?)
}

fn serve(flags: &Flags, plan: Plan) -> anyhow::Result<()> {
    if flags.check {
        let told = checked(&plan, || builder(flags, &plan).build())?;
        print!("{told}");
        return Ok(());
    }
    plan.options.check()?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let served = runtime.block_on(async {
        let server = Server::bind(open(flags, &plan)?, plan.options).await?;
        println!("{}", server.greeting());
        server.run().await?;
        anyhow::Ok(())
    });
    runtime.shutdown_timeout(LEFTOVERS);
    served
}

/// Flags over the environment over the settings file over the defaults.
fn plan(flags: &Flags) -> anyhow::Result<Plan> {
    let data_dir = match &flags.data_dir {
        Some(dir) => dir.clone(),
        None => dirs::data_dir()
            .context("no data folder was found for this user; name one with --data-dir")?
            .join("longtrainer"),
    };
    let beside = || data_dir.join("longtrainer.toml");
    let settings_file = flags.config.clone().unwrap_or_else(beside);
    let mut config = Config::find(&settings_file, flags.config.is_some())?;
    let models = &mut config.models;
    models.text = flags.text_model.clone().or(models.text.take());
    models.embedding = flags.embedding_model.clone().or(models.embedding.take());
    models.vision = flags.vision_model.clone().or(models.vision.take());
    models.memory_budget = flags.memory_budget.or(models.memory_budget);
    models.keep_alive = flags.keep_alive.or(models.keep_alive);
    let given = flags.serve.clone().over(ServeSection::from_env());
    config.serve = given.over(config.serve);
    Ok(Plan {
        options: config.serve.clone().options()?,
        settings_file,
        data_dir,
        config,
    })
}

/// Opens the data directory. Models are loaded when first needed.
fn open(flags: &Flags, plan: &Plan) -> anyhow::Result<LongTrainer> {
    builder(flags, plan)
        .links(plan.config.serve.links()?)
        .build()
        .with_context(|| format!("cannot open the data folder {}", plan.data_dir.display()))
}

fn builder(flags: &Flags, plan: &Plan) -> Builder {
    let mut registry = RegistryOptions::from_env();
    registry.models_dir = flags.models_dir.clone().or(registry.models_dir);
    registry.offline |= flags.offline;
    let models = &plan.config.models;
    LongTrainer::builder(&plan.data_dir)
        .registry(registry)
        .device(flags.device)
        .defaults(plan.config.to_defaults())
        .memory_budget(models.memory_budget.unwrap_or_default())
        .keep_alive(models.keep_alive.unwrap_or_default())
}

fn verbosity(flags: &Flags) -> Verbosity {
    Verbosity::new(flags.quiet, flags.verbose)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Flags::command().debug_assert();
    }
}
