//! The raw command line, as clap reads it: the flags that every command takes, and the commands.
//! The flags of one command stand beside it, in [`crate::commands`].

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser};
use longtrainer::{DeviceChoice, KeepAlive, MemoryBudget, Sampling};

use crate::commands::Command;
use crate::exit::EXIT_CODES;

/// Ask your own documents with models that run on this machine alone.
#[derive(Debug, Parser)]
#[command(name = "longtrainer", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) global: GlobalFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalFlags {
    /// Folder of bots, documents and chats [default: `longtrainer` in this user's data folder]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "LONGTRAINER_DATA",
        hide_env_values = true
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// Folder of models [env: LONGTRAINER_MODELS=] [default: in this user's cache folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) models_dir: Option<PathBuf>,
    /// Never use the network [env: LONGTRAINER_OFFLINE=1 or HF_HUB_OFFLINE=1]
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// Where models run: cpu, cuda, cuda:N, metal or auto
    #[arg(
        long,
        global = true,
        default_value = "auto",
        env = "LONGTRAINER_DEVICE",
        hide_env_values = true
    )]
    pub(crate) device: DeviceChoice,
    /// Memory that all models may take together, as `6GiB`, or unlimited [default: unlimited]
    #[arg(
        long,
        visible_alias = "memory",
        global = true,
        value_name = "SIZE",
        env = "LONGTRAINER_MEMORY_BUDGET",
        hide_env_values = true
    )]
    pub(crate) memory_budget: Option<MemoryBudget>,
    /// How long a model stays in memory when nobody uses it, as `10m`, or forever [default: forever]
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        env = "LONGTRAINER_KEEP_ALIVE",
        hide_env_values = true
    )]
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Settings file [default: `longtrainer.toml` in the data folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "LONGTRAINER_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Say more on standard error; twice for details
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say only errors on standard error, and show no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// How tokens are chosen; what is left out follows the settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingFlags {
    /// Randomness of the answer; 0 always takes the likeliest token
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) temperature: Option<f32>,
    /// Choose among this many of the likeliest tokens
    #[arg(long, value_name = "N")]
    pub(crate) top_k: Option<usize>,
    /// Choose among the likeliest tokens whose probabilities reach this sum
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) top_p: Option<f32>,
    /// Choose among tokens at least this fraction as likely as the likeliest
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) min_p: Option<f32>,
    /// Make tokens seen lately less likely; 1 does nothing
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) repetition_penalty: Option<f32>,
    /// Same seed, same question, same answer
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

impl SamplingFlags {
    /// `base` with what the flags change.
    pub(crate) fn over(&self, base: &Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.unwrap_or(base.temperature),
            top_k: self.top_k.or(base.top_k),
            top_p: self.top_p.or(base.top_p),
            min_p: self.min_p.or(base.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(base.repetition_penalty),
            seed: self.seed.or(base.seed),
            ..base.clone()
        }
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
}
