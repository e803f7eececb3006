//! Doing what a job asks for.

use std::panic::{AssertUnwindSafe, catch_unwind};

use longtrainer_inference::with_causes;
use longtrainer_models::Progress;
use longtrainer_store::{JobRecord, JobStatus, NewDocument};
use serde_json::{Value, json};

use crate::documents::Document;
use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::jobs::control::{JobControl, Wish};
use crate::jobs::records::{cancelled, task_of};
use crate::jobs::report;
use crate::jobs::task::{IngestSource, JobTask};
use crate::trainer::LongTrainer;

impl LongTrainer {
    /// Does a pending job on this thread, and writes down how it ended: a failure of the work is in
    /// the record that comes back. A job that has ended by now is left as it is.
    ///
    /// # Errors
    ///
    /// That of the store if the job is gone, because its bot is, or cannot be written down.
    pub fn run_job(&self, job_id: &str) -> Result<JobRecord> {
        let control = self.inner.jobs.control(job_id);
        let ran = self.run_controlled(job_id, &control);
        match &ran {
            Ok(job) if job.status.is_ended() => self.clean_up(job)?,
            _ => self.inner.jobs.forget(job_id),
        }
        ran
    }

    fn run_controlled(&self, job_id: &str, control: &JobControl) -> Result<JobRecord> {
        let mut is_ours = false;
        let job = self.inner.store.update_job(job_id, &mut |job| {
            is_ours = job.status == JobStatus::Pending;
            if is_ours {
                job.status = JobStatus::Processing;
                job.attempts += 1;
            }
        })?;
        if !is_ours {
            return Ok(job);
        }
        let outcome = self.work_unless_it_panics(&job, control);
        self.write_down(job_id, control, outcome)
    }

    fn work_unless_it_panics(&self, job: &JobRecord, control: &JobControl) -> Result<Value> {
        let task = task_of(job).ok_or(Error::UnknownJobTask)?;
        // Nothing of a job is left half-way in memory: what it changes is in the store.
        catch_unwind(AssertUnwindSafe(|| self.work(task, control)))
            .unwrap_or(Err(Error::JobPanicked))
    }

    fn write_down(
        &self,
        job_id: &str,
        control: &JobControl,
        outcome: Result<Value>,
    ) -> Result<JobRecord> {
        let progress = control.progress();
        let wish = control.wish();
        Ok(self.inner.store.update_job(job_id, &mut |job| {
            job.progress.clone_from(&progress);
            match (&outcome, wish) {
                (Ok(result), _) => {
                    job.status = JobStatus::Success;
                    job.result = Some(result.clone());
                }
                (Err(_), Wish::Cancel) => cancelled(job),
                // It was no fault of the job.
                (Err(_), Wish::Interrupt) => {
                    job.status = JobStatus::Pending;
                    job.attempts = job.attempts.saturating_sub(1);
                }
                (Err(error), Wish::GoOn) => {
                    job.status = JobStatus::Failed;
                    job.error = Some(with_causes(&error));
                }
            }
        })?)
    }

    /// Does the work; returns what it did.
    fn work(&self, task: JobTask, control: &JobControl) -> Result<Value> {
        control.check()?;
        match task {
            JobTask::Ingest {
                bot_id,
                sources,
                replaces,
                build,
            } => {
                let mut result = self.ingest(&bot_id, &sources, replaces, control)?;
                if build {
                    result["build"] = self.build_as_job(&bot_id, control)?;
                }
                Ok(result)
            }
            JobTask::Build { bot_id } => self.build_as_job(&bot_id, control),
            JobTask::Reindex {
                bot_id,
                embedding_model,
            } => {
                control.reach("building", 0, None)?;
                let model = embedding_model.as_deref();
                let watch = &mut |build| control.reach_in_build(build);
                Ok(report::built(&self.reindex_watched(&bot_id, model, watch)?))
            }
            JobTask::Train { bot_id } => self.train_as_job(&bot_id, control),
            JobTask::Pull { model } => self.pull_as_job(&model, control),
        }
    }

    fn build_as_job(&self, bot_id: &BotId, control: &JobControl) -> Result<Value> {
        control.reach("building", 0, None)?;
        let report = self.build(bot_id, &mut |build| control.reach_in_build(build))?;
        Ok(report::built(&report))
    }

    /// Reads all files before anything is stored.
    fn ingest(
        &self,
        bot_id: &BotId,
        sources: &[IngestSource],
        replaces: Option<u64>,
        control: &JobControl,
    ) -> Result<Value> {
        let total = Some(sources.len() as u64);
        let mut documents = Vec::new();
        for (number, source) in sources.iter().enumerate() {
            control.reach("reading", number as u64, total)?;
            documents.extend(self.read_source(source)?);
        }
        control.reach("storing", 0, Some(documents.len() as u64))?;
        let (added, replaced) = match replaces {
            Some(document_id) => self.replace_file(bot_id, document_id, documents)?,
            None => (self.pass_documents(documents, bot_id)?, 0),
        };
        Ok(report::ingested(sources.len(), &added, replaced))
    }

    fn read_source(&self, source: &IngestSource) -> Result<Vec<Document>> {
        match source {
            IngestSource::Path { path } => self.load_documents(path),
            IngestSource::Link { url } => self.load_link(url),
            IngestSource::Upload {
                upload,
                number,
                name,
            } => self.read_upload(upload, *number, name),
        }
    }

    /// A run that ended between the turns and the build has left nothing to train but something to
    /// build.
    fn train_as_job(&self, bot_id: &BotId, control: &JobControl) -> Result<Value> {
        control.reach("training", 0, None)?;
        let watch = &mut |build| control.reach_in_build(build);
        let trained = self.train_chats_watched(bot_id, watch)?;
        let build = match trained.build {
            Some(build) => build,
            None => self.build(bot_id, watch)?,
        };
        Ok(report::trained(&trained, &build))
    }

    /// Fetches a model, then the text model before which it stands.
    fn pull_as_job(&self, model: &str, control: &JobControl) -> Result<Value> {
        let entry = self.models().entry(model)?;
        let mut fetched = Vec::new();
        for name in std::iter::once(&entry.name).chain(&entry.text) {
            let entry = self.models().entry(name)?;
            let mut progress = PullProgress {
                control,
                phase: format!("fetching {name}"),
                done: 0,
                begun: 0,
                least: entry.least_size(),
                is_exact: entry.total_size().is_some(),
            };
            progress.tell();
            let local = self.models().pull(name, &mut progress)?;
            fetched.push(json!({"model": name, "folder": local.folder}));
        }
        Ok(json!({ "models": fetched }))
    }

    /// Puts documents in the place of one that is stored and of all others of its file.
    fn replace_file(
        &self,
        bot_id: &BotId,
        document_id: u64,
        documents: Vec<Document>,
    ) -> Result<(crate::AddReport, usize)> {
        let old = self.documents_of_same_source(bot_id, document_id)?;
        let new: Vec<NewDocument> = documents
            .into_iter()
            .map(crate::documents::new_document)
            .collect();
        let added = self.replace_documents(bot_id, &old, &new)?;
        Ok((added, old.len()))
    }
}

/// Bytes of a model that have come, over all its files.
struct PullProgress<'a> {
    control: &'a JobControl,
    phase: String,
    /// Bytes of the files that are whole.
    done: u64,
    /// Bytes of the file that is under way.
    begun: u64,
    /// Bytes of all files, as far as the list of models gives them.
    least: u64,
    /// Whether these are all of them.
    is_exact: bool,
}

impl PullProgress<'_> {
    fn tell(&self) {
        let come = self.done + self.begun;
        let (done, total) = match self.is_exact {
            true => (come.min(self.least), self.least),
            false => (come, self.least.max(come)),
        };
        // Whether the pull is still wanted is asked for in its own place.
        let _ = self.control.reach(&self.phase, done, Some(total));
    }
}

impl Progress for PullProgress<'_> {
    fn source(&mut self, description: &str) {
        tracing::info!(description, "fetching");
    }

    fn begin(&mut self, _file: &str, _total: Option<u64>, already: u64) {
        self.begun = already;
        self.tell();
    }

    fn advance(&mut self, bytes: u64) {
        self.begun += bytes;
        self.tell();
    }

    fn finish(&mut self) {
        self.done += std::mem::take(&mut self.begun);
        self.tell();
    }

    fn cancelled(&self) -> bool {
        self.control.wish() != Wish::GoOn
    }
}
