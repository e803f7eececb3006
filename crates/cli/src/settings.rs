//! The checked settings: flags over environment over settings file over defaults.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use longtrainer::models::RegistryOptions;
use longtrainer::{Defaults, DeviceChoice, KeepAlive, MemoryBudget};
use longtrainer_server::DEFAULT_PORT;

use crate::config::Config;
use crate::error::CliError;
use crate::flags::GlobalFlags;

/// Where `serve` listens unless told otherwise: on this machine only.
pub(crate) const DEFAULT_HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

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
        let config = match Config::read(&self.config)? {
            Some(config) => config,
            None if self.config_is_named => {
                return Err(CliError::ConfigMissing {
                    path: self.config.clone(),
                });
            }
            None => Config::default(),
        };
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
            host: config.server.host.unwrap_or(DEFAULT_HOST),
            port: config.server.port.unwrap_or(DEFAULT_PORT),
        })
    }
}

/// What the settings file says, with the defaults for what it leaves out.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) defaults: Defaults,
    pub(crate) memory_budget: MemoryBudget,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
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
