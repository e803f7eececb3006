//! Finding and verifying a model on this machine: no socket, no process, and on a warm start no
//! hashing either.

use std::path::{Path, PathBuf};

use crate::entry::ModelEntry;
use crate::error::{Error, Result};
use crate::file_report::{FileReport, FileState, VerifyReport};
use crate::first_seen::{FirstSeen, Note};
use crate::local_model::LocalModel;
use crate::lock::ModelLock;
use crate::registry::Registry;
use crate::stamps::Stamps;

/// In what state a model is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelStatus {
    /// Every file is there and verified.
    Ready {
        /// The folder that holds them.
        folder: PathBuf,
    },
    /// Some or all files are not there.
    Missing {
        /// The files not there.
        files: Vec<String>,
    },
    /// A file is there and wrong, or cannot be read.
    Damaged {
        /// What is wrong, for a person.
        reason: String,
    },
    /// The registry has no model of that name.
    Unknown,
}

/// A model's files as found in one folder.
pub(super) struct Survey {
    pub(super) folder: PathBuf,
    pub(super) files: Vec<FileReport>,
}

impl Survey {
    fn is_whole(&self) -> bool {
        self.files.iter().all(FileReport::is_whole)
    }

    fn is_empty(&self) -> bool {
        self.files
            .iter()
            .all(|file| file.state == FileState::Missing)
    }

    /// Whether the weights are there, right or not.
    fn has_weights(&self, entry: &ModelEntry) -> bool {
        let is_weights = |file: &&FileReport| file.file == entry.weights;
        self.files
            .iter()
            .find(is_weights)
            .is_some_and(|file| file.state != FileState::Missing)
    }

    pub(super) fn missing(&self) -> Vec<String> {
        let missing = self
            .files
            .iter()
            .filter(|file| file.state == FileState::Missing);
        missing.map(|file| file.file.clone()).collect()
    }

    /// The error of the first damaged file.
    pub(super) fn damage(&self) -> Option<Error> {
        self.files.iter().find_map(FileReport::damage)
    }
}

impl Registry {
    /// Finds a model on this machine and verifies it, without the network.
    ///
    /// A file is hashed once and then only when its size or modification time has changed. The files
    /// of a model that this program carries are written to their folder first, if they are not there.
    /// A file of which the list of models gives no hash is taken as it is when it is first seen beside
    /// the right weights; that is noted, and it is compared with the note from then on.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] lists the missing files, the folders looked in and how to get them;
    /// [`Error::WrongSize`], [`Error::WrongHash`], [`Error::Changed`] and [`Error::OtherRevision`] name
    /// a damaged file; [`Error::UnknownModel`]; [`Error::FirstSeen`] for notes and [`Error::Io`] for a
    /// file that cannot be read.
    pub fn locate(&self, name: &str) -> Result<LocalModel> {
        let entry = self.entry(name)?;
        let survey = self.survey(entry, Stamps::load(self.stamps_file(entry)))?;
        if survey.is_whole() {
            return Ok(LocalModel {
                entry: entry.clone(),
                folder: survey.folder,
            });
        }
        if entry.is_embedded() && survey.damage().is_none() {
            return self.unpack(entry);
        }
        Err(survey.damage().unwrap_or_else(|| Error::Missing {
            model: entry.name.clone(),
            files: survey.missing(),
            looked_in: self.places(entry).to_vec(),
            folder: self.own_folder(entry),
        }))
    }

    /// Hashes every file of a model anew and says how each one is.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`]; [`Error::FirstSeen`] and [`Error::Io`] for a file that is there and
    /// cannot be read. A missing or wrong file is no error but a state in the report.
    pub fn verify(&self, name: &str) -> Result<VerifyReport> {
        let entry = self.entry(name)?;
        let survey = self.survey(entry, Stamps::fresh(self.stamps_file(entry)))?;
        Ok(VerifyReport {
            model: entry.name.clone(),
            files: survey.files,
        })
    }

    /// In what state a model is on this machine; as quick as [`Registry::locate`].
    pub fn status(&self, name: &str) -> ModelStatus {
        match self.locate(name) {
            Ok(local) => ModelStatus::Ready {
                folder: local.folder,
            },
            Err(Error::UnknownModel { .. }) => ModelStatus::Unknown,
            Err(Error::Missing { files, .. }) => ModelStatus::Missing { files },
            Err(error) => ModelStatus::Damaged {
                reason: error.to_string(),
            },
        }
    }

    /// The folders that a model may be in, in the order looked at.
    pub(super) fn places(&self, entry: &ModelEntry) -> [PathBuf; 2] {
        [self.own_folder(entry), self.models_dir.clone()]
    }

    /// The model in the first folder that holds all of it, or else in the one that says most about
    /// what is wrong.
    fn survey(&self, entry: &ModelEntry, mut stamps: Stamps) -> Result<Survey> {
        let first_seen = FirstSeen::load(self.first_seen_file(entry))?;
        let [own_folder, loose_folder] = self.places(entry);
        let own = survey_folder(entry, own_folder, &mut stamps, &first_seen)?;
        let survey = if own.is_whole() {
            own
        } else {
            let loose = survey_folder(entry, loose_folder, &mut stamps, &first_seen)?;
            let is_better = loose.is_whole() || (own.is_empty() && loose.has_weights(entry));
            if is_better { loose } else { own }
        };
        stamps.save();
        if survey.is_whole()
            && let Err(error) = self.note_first_sight(entry, &survey)
        {
            // As on a read-only share: the files are here and can be used, now as before.
            tracing::warn!(model = entry.name, %error, "what the files are was not noted");
        }
        Ok(survey)
    }

    /// Notes what files are of which nothing was known, now that they lie beside the right weights.
    fn note_first_sight(&self, entry: &ModelEntry, survey: &Survey) -> Result<()> {
        let new: Vec<_> = survey.files.iter().filter_map(seen_first).collect();
        if new.is_empty() {
            return Ok(());
        }
        // A pull that runs now knows better where its files are from.
        let Some(_lock) = ModelLock::try_acquire(&self.lock_file(entry))? else {
            return Ok(());
        };
        let mut first_seen = FirstSeen::load(self.first_seen_file(entry))?;
        for (path, sha256) in new {
            if first_seen.of(path).is_none() {
                let note = Note {
                    sha256: sha256.clone(),
                    fetched_from: None,
                };
                first_seen.note(path, note);
            }
        }
        first_seen.save()
    }

    /// The model in its own folder, which is the one that a pull fills.
    pub(super) fn survey_own(&self, entry: &ModelEntry) -> Result<Survey> {
        let mut stamps = Stamps::load(self.stamps_file(entry));
        let first_seen = FirstSeen::load(self.first_seen_file(entry))?;
        survey_folder(entry, self.own_folder(entry), &mut stamps, &first_seen)
    }
}

fn survey_folder(
    entry: &ModelEntry,
    folder: PathBuf,
    stamps: &mut Stamps,
    first_seen: &FirstSeen,
) -> Result<Survey> {
    let report = |file| FileReport::of(file, entry, &folder, stamps, first_seen);
    let files = entry.files.iter().map(report).collect::<Result<_>>()?;
    Ok(Survey { folder, files })
}

/// Path and hash of a file that was not known before.
fn seen_first(file: &FileReport) -> Option<(&Path, &String)> {
    match &file.state {
        FileState::FirstSeen { sha256 } => Some((&file.path, sha256)),
        _ => None,
    }
}
