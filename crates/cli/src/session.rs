//! What a command works with: where things are, where to print, and the trainer once it is opened.

use std::path::Path;

use longtrainer::LongTrainer;
use longtrainer::models::Registry;
use longtrainer_server::Verbosity;

use crate::flags::GlobalFlags;
use crate::notes::Notes;
use crate::output::Output;
use crate::settings::{Places, Settings};

/// What a command works with.
pub(crate) struct Session {
    pub(crate) places: Places,
    pub(crate) notes: Notes,
    pub(crate) output: Output,
    /// How much a server logs.
    pub(crate) verbosity: Verbosity,
}

impl Session {
    pub(crate) fn new(flags: &GlobalFlags) -> anyhow::Result<Self> {
        Ok(Self {
            places: Places::new(flags)?,
            notes: Notes::new(flags.quiet, flags.verbose > 0),
            output: Output::new(),
            verbosity: Verbosity::new(flags.quiet, flags.verbose),
        })
    }

    /// Opens the data folder with the settings of the settings file.
    pub(crate) fn trainer(&self) -> anyhow::Result<LongTrainer> {
        self.trainer_in(&self.places.data_dir, self.places.settings()?)
    }

    /// Opens a data folder.
    pub(crate) fn trainer_in(
        &self,
        data_dir: &Path,
        settings: Settings,
    ) -> anyhow::Result<LongTrainer> {
        Ok(self.open(data_dir, settings)?)
    }

    /// [`Session::trainer_in`], with the library's own error.
    pub(crate) fn open(
        &self,
        data_dir: &Path,
        settings: Settings,
    ) -> longtrainer::Result<LongTrainer> {
        LongTrainer::builder(data_dir)
            .registry(self.places.registry.clone())
            .device(self.places.device)
            .defaults(settings.defaults)
            .memory_budget(settings.memory_budget)
            .keep_alive(settings.keep_alive)
            .links(settings.links)
            .build()
    }

    /// Opens the registry of models alone.
    pub(crate) fn registry(&self) -> anyhow::Result<Registry> {
        Ok(open_registry(self)?)
    }
}

fn open_registry(session: &Session) -> longtrainer::Result<Registry> {
    Ok(Registry::open(session.places.registry.clone())?)
}
