//! Fetching a model: what is already whole stays, the rest comes from the first source that has it.

use crate::entry::{FileEntry, ModelEntry, Source};
use crate::error::{Error, FailedSource, Result};
use crate::first_seen::FirstSeen;
use crate::local_model::LocalModel;
use crate::lock::ModelLock;
use crate::progress::{NoProgress, Progress};
use crate::registry::Registry;
use crate::source::{Request, clear_work};

impl Registry {
    /// Makes sure that a model is on this machine, fetching what is missing or damaged.
    ///
    /// Returns at once if it is there and whole. Two processes may pull the same model: one
    /// fetches, the other waits. A pull that was interrupted is continued by the next. Where the list
    /// of models gives no hash, what arrives is compared with what the hub says of it, and noted.
    ///
    /// # Errors
    ///
    /// [`Error::Offline`] if something is missing and the registry is offline (no socket is opened,
    /// no process started); what [`Registry::locate`] says of a damaged file if the registry is
    /// offline; [`Error::AllSourcesFailed`] with the reason of each source; [`Error::DiskFull`];
    /// [`Error::UnknownModel`]; [`Error::FirstSeen`]; [`Error::Io`].
    pub fn pull(&self, name: &str, progress: &mut dyn Progress) -> Result<LocalModel> {
        let entry = self.entry(name)?;
        match self.locate(name) {
            Ok(local) => return Ok(local),
            Err(error) if error.is_damage() || matches!(error, Error::Missing { .. }) => {
                if self.offline {
                    return Err(as_offline(error));
                }
                tracing::info!(model = name, %error, "fetching");
            }
            Err(error) => return Err(error),
        }
        let folder = self.own_folder(entry);
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let _lock = ModelLock::acquire(&self.lock_file(entry), || {
            progress.source(&format!("waiting for another pull of {name}"));
        })?;
        self.fetch_lacking(entry, entry.sources.iter(), progress)?;
        // Only now: what a failed pull received is of use to the next.
        clear_work(&folder)?;
        self.locate(name)
    }

    /// [`Registry::locate`] where that suffices, [`Registry::pull`] where it does not.
    ///
    /// # Errors
    ///
    /// Those of [`Registry::pull`].
    pub fn ensure(&self, name: &str, progress: &mut dyn Progress) -> Result<LocalModel> {
        self.pull(name, progress)
    }

    /// Writes the files of a model that this program carries.
    pub(super) fn unpack(&self, entry: &ModelEntry) -> Result<LocalModel> {
        let folder = self.own_folder(entry);
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let _lock = ModelLock::acquire(&self.lock_file(entry), || {})?;
        let embedded = entry
            .sources
            .iter()
            .filter(|source| matches!(source, Source::Embedded(_)));
        self.fetch_lacking(entry, embedded, &mut NoProgress)?;
        Ok(LocalModel {
            entry: entry.clone(),
            folder,
        })
    }

    /// Tries the sources in order until every file is in the model's own folder.
    fn fetch_lacking<'entry>(
        &self,
        entry: &'entry ModelEntry,
        sources: impl Iterator<Item = &'entry Source>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        if self.lacking(entry)?.is_empty() {
            return Ok(());
        }
        let mut failures = Vec::new();
        for source in sources {
            if progress.cancelled() {
                return Err(Error::PullCancelled);
            }
            progress.source(&source.to_string());
            let files = self.lacking(entry)?;
            let folder = self.own_folder(entry);
            let mut first_seen = FirstSeen::load(self.first_seen_file(entry))?;
            let mut request = Request {
                source,
                files: &files,
                folder: &folder,
                first_seen: &mut first_seen,
            };
            match self.fetchers.fetch(&mut request, progress) {
                Ok(()) => return Ok(()),
                // The next source would have to write to the same disk.
                Err(error @ (Error::DiskFull { .. } | Error::PullCancelled)) => return Err(error),
                Err(error) => {
                    tracing::warn!(model = entry.name, %source, %error, "a source failed");
                    failures.push(FailedSource {
                        origin: source.to_string(),
                        error: Box::new(error),
                    });
                }
            }
        }
        Err(Error::AllSourcesFailed {
            model: entry.name.clone(),
            failures,
        })
    }

    /// The files that the model's own folder lacks, or holds damaged, or of which nobody can say whether
    /// they are the right ones: with a source at hand, they are asked of it.
    fn lacking<'a>(&self, entry: &'a ModelEntry) -> Result<Vec<&'a FileEntry>> {
        let survey = self.survey_own(entry)?;
        let both = entry.files.iter().zip(&survey.files);
        Ok(both
            .filter(|(_, report)| !report.is_checked())
            .map(|(file, _)| file)
            .collect())
    }
}

/// What is missing is told as a matter of being offline; what is damaged, as what it is.
fn as_offline(error: Error) -> Error {
    match error {
        Error::Missing {
            model,
            files,
            looked_in,
            folder,
        } => Error::Offline {
            model,
            files,
            looked_in,
            folder,
        },
        other => other,
    }
}
