//! The `serve` binary: flags, a trainer, a server.
//!
//! The flags that `longtrainer` has, too, carry the same names, defaults and variables, so that both
//! programs find the same bots.
#![expect(clippy::print_stdout, reason = "a program tells where it listens")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{ArgAction, Parser};
use longtrainer::models::RegistryOptions;
use longtrainer::{
    Defaults, DeviceChoice, KeepAlive, LinkOptions, LinkPolicy, LongTrainer, MemoryBudget,
};
use longtrainer_server::{DEFAULT_PORT, LogFormat, Server, ServerOptions, Verbosity, start_log};

/// How long threads may hold the end of the process up once the server has ended. A file that is
/// still being read is given up; its job is marked as failed at the next start.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Answer questions about your own documents over HTTP, on this machine alone.
#[derive(Debug, Parser)]
#[command(name = "serve", version, max_term_width = 100)]
struct Flags {
    /// Address to listen on; this version takes loopback addresses only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = address)]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
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
    /// Let documents/path and image_paths read files in this directory; may be given several times
    #[arg(long = "allow-dir", value_name = "DIR")]
    allow_dirs: Vec<PathBuf>,
    /// Let documents/link lead to this host, whatever its address is; may be given several times
    #[arg(long = "allow-link-host", value_name = "HOST")]
    allow_link_hosts: Vec<String>,
    /// Let documents/link lead into this network, as 10.0.0.0/8; may be given several times
    #[arg(long = "allow-link-network", value_name = "NETWORK")]
    allow_link_networks: Vec<String>,
    /// Registry name or .gguf file of the text model [default: the registry's]
    #[arg(long, value_name = "MODEL")]
    text_model: Option<String>,
    /// Registry name or folder of the embedding model [default: the registry's]
    #[arg(long, value_name = "MODEL")]
    embedding_model: Option<String>,
    /// Registry name or path of the vision model [default: the registry's]
    #[arg(long, value_name = "MODEL")]
    vision_model: Option<String>,
    /// Load the default models at the start, so that /ready means ready
    #[arg(long)]
    warm: bool,
    /// How the log is written to standard error: text, or json for an object a line
    #[arg(long, value_name = "FORMAT", default_value_t)]
    log_format: LogFormat,
    /// Log questions, answers and the names of files, too
    #[arg(long)]
    log_content: bool,
    /// Say more on standard error; twice for everything
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Say only what goes wrong, not every request
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match start_log(flags.log_format, verbosity(&flags))
        .context("cannot start the log")
        .and_then(|()| serve(flags))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: Flags) -> anyhow::Result<()> {
    let options = server_options(&flags);
    options.check()?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let served = runtime.block_on(async {
        let server = Server::bind(open(flags)?, options).await?;
        println!("{}", server.greeting());
        server.run().await?;
        anyhow::Ok(())
    });
    runtime.shutdown_timeout(LEFTOVERS);
    served
}

fn server_options(flags: &Flags) -> ServerOptions {
    ServerOptions {
        host: flags.host,
        port: flags.port,
        allow_dirs: flags.allow_dirs.clone(),
        warm: flags.warm,
        log_content: flags.log_content,
        ..ServerOptions::default()
    }
}

/// Opens the data directory. Models are loaded when first needed.
fn open(flags: Flags) -> anyhow::Result<LongTrainer> {
    let data_dir = match flags.data_dir {
        Some(dir) => dir,
        None => dirs::data_dir()
            .context("no data folder was found for this user; name one with --data-dir")?
            .join("longtrainer"),
    };
    let mut registry = RegistryOptions::from_env();
    registry.models_dir = flags.models_dir.or(registry.models_dir);
    registry.offline |= flags.offline;
    let defaults = Defaults {
        text_model: flags.text_model,
        embedding_model: flags.embedding_model,
        vision_model: flags.vision_model,
        ..Defaults::default()
    };
    let links = LinkOptions {
        policy: link_policy(&flags.allow_link_hosts, &flags.allow_link_networks)?,
        ..LinkOptions::default()
    };
    LongTrainer::builder(&data_dir)
        .links(links)
        .registry(registry)
        .device(flags.device)
        .defaults(defaults)
        .memory_budget(flags.memory_budget.unwrap_or_default())
        .keep_alive(flags.keep_alive.unwrap_or_default())
        .build()
        .with_context(|| format!("cannot open the data folder {}", data_dir.display()))
}

/// Public addresses, and what the flags name.
fn link_policy(hosts: &[String], networks: &[String]) -> anyhow::Result<LinkPolicy> {
    let policy = hosts.iter().fold(LinkPolicy::default(), |policy, host| {
        policy.allow_host(host)
    });
    let mut networks = networks.iter();
    let policy = networks.try_fold(policy, |policy, network| policy.allow_network(network));
    policy.context("--allow-link-network")
}

/// `localhost`, or an address in figures: a name could come to mean another machine.
fn address(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.parse()
        .map_err(|_| "neither localhost nor an IP address".to_owned())
}

fn verbosity(flags: &Flags) -> Verbosity {
    match (flags.quiet, flags.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Requests,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Debug,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_host_is_an_address() {
        assert_eq!(address("LocalHost"), Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(address("::1"), Ok("::1".parse().unwrap()));
        assert!(address("example.org").is_err());
    }
}
