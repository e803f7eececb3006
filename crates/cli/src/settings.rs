//! The checked settings: flags over environment over settings file over defaults.

use std::path::{Path, PathBuf};

use longtrainer::models::RegistryOptions;
use longtrainer::{Defaults, DeviceChoice, KeepAlive, LinkOptions, MemoryBudget};
use longtrainer_server::config::Config;

use crate::error::CliError;
use crate::flags::GlobalFlags;

/// Where things are, before the settings file has been read.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) data_dir: PathBuf,
    pub(crate) config: PathBuf,
    /// Whether the settings file was named, and so must exist.
    config_is_named: bool,
    pub(crate) registry: RegistryOptions,
    pub(crate) device: DeviceChoice,
    /// What the flags say of the memory of models; they win over the settings file.
    memory_budget: Option<MemoryBudget>,
    keep_alive: Option<KeepAlive>,
}

impl Places {
    pub(crate) fn new(flags: &GlobalFlags) -> Result<Self, CliError> {
        let data_dir = match &flags.data_dir {
            Some(dir) => dir.clone(),
            None => dirs::data_dir()
                .ok_or(CliError::NoDataDir)?
                .join("longtrainer"),
        };
        Ok(Self {
            config: flags
                .config
                .clone()
                .unwrap_or_else(|| data_dir.join("longtrainer.toml")),
            config_is_named: flags.config.is_some(),
            registry: registry_options(flags),
            device: flags.device,
            memory_budget: flags.memory_budget,
            keep_alive: flags.keep_alive,
            data_dir,
        })
    }

    /// Reads the settings file.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        let config = Config::find(&self.config, self.config_is_named)?;
        Ok(Settings {
            defaults: config.to_defaults(),
            memory_budget: self
                .memory_budget
                .or(config.models.memory_budget)
                .unwrap_or_default(),
            keep_alive: self
                .keep_alive
                .or(config.models.keep_alive)
                .unwrap_or_default(),
            links: LinkOptions::default(),
            config,
        })
    }
}

/// What the settings file says, with the defaults for what it leaves out.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) defaults: Defaults,
    pub(crate) memory_budget: MemoryBudget,
    pub(crate) keep_alive: KeepAlive,
    /// Where links may lead.
    pub(crate) links: LinkOptions,
    /// The file itself, for what concerns one command alone.
    pub(crate) config: Config,
}

fn registry_options(flags: &GlobalFlags) -> RegistryOptions {
    let mut options = RegistryOptions::from_env();
    if let Some(dir) = &flags.models_dir {
        options.models_dir = Some(dir.clone());
    }
    options.offline |= flags.offline;
    options
}

/// A path as a person can use it from anywhere.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
