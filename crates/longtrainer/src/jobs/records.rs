//! Jobs as others see them: begun, looked at, listed, cancelled.

use jiff::Timestamp;
use longtrainer_store::{JobRecord, JobStatus};
use serde_json::Value;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::jobs::control::Wish;
use crate::jobs::task::JobTask;
use crate::trainer::LongTrainer;

/// Jobs of a bot that are kept once they have ended; older ones are forgotten.
const KEPT: usize = 100;
/// Jobs of a bot that may wait or be at work.
const WAITING: usize = 100;
/// What stands in the record of a job that somebody cancelled.
const CANCELLED: &str = "the job was cancelled";

impl LongTrainer {
    /// Writes a job down as pending. It is done by [`LongTrainer::run_job`], here or, if this process
    /// ends before, after the next [`LongTrainer::resume_jobs`].
    ///
    /// # Errors
    ///
    /// [`Error::OwnerOnly`] for a task that is no bot's in the view of a tenant, [`Error::TooManyJobs`],
    /// and those of finding what the task names.
    pub fn begin_job(&self, task: &JobTask) -> Result<JobRecord> {
        self.check_task(task)?;
        self.make_room(task.bot_id())?;
        let now = Timestamp::now();
        let job = JobRecord {
            job_id: Uuid::new_v4().to_string(),
            bot_id: task.bot_id().map(BotId::to_string),
            kind: task.kind().to_owned(),
            status: JobStatus::Pending,
            created_at: now,
            error: None,
            updated_at: now,
            progress: None,
            result: None,
            task: Some(serde_json::to_value(task).map_err(Error::JobTask)?),
            attempts: 0,
        };
        self.inner.store.put_job(&job)?;
        self.inner.jobs.control(&job.job_id);
        Ok(job)
    }

    /// Refuses what can be seen to fail at once.
    fn check_task(&self, task: &JobTask) -> Result<()> {
        match task.bot_id() {
            Some(bot_id) => drop(self.bot(bot_id)?),
            None => self.owner_only("a job that works for no bot")?,
        }
        match task {
            JobTask::Ingest {
                bot_id,
                replaces: Some(document_id),
                ..
            } => {
                self.inner.store.document(bot_id.as_str(), *document_id)?;
                Ok(())
            }
            JobTask::Pull { model } => {
                self.models().entry(model)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Refuses one job too many, and forgets the oldest of those that have ended: neither may gather
    /// for ever.
    fn make_room(&self, bot_id: Option<&BotId>) -> Result<()> {
        let jobs = self.stored_jobs(bot_id)?;
        let (ended, waiting): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.status.is_ended());
        if waiting.len() >= WAITING {
            return Err(Error::TooManyJobs { limit: WAITING });
        }
        for job in ended.iter().take((ended.len() + 1).saturating_sub(KEPT)) {
            self.inner.store.remove_job(&job.job_id)?;
        }
        Ok(())
    }

    /// One job.
    pub fn job(&self, job_id: &str) -> Result<JobRecord> {
        let job = self.inner.store.job(job_id)?;
        Ok(self.inner.jobs.with_progress(job))
    }

    /// The jobs of a bot, oldest first. Of those that have ended the last hundred are kept.
    pub fn jobs(&self, bot_id: &BotId) -> Result<Vec<JobRecord>> {
        self.listed(self.stored_jobs(Some(bot_id))?)
    }

    /// The jobs of all bots and those that work for none, oldest first.
    pub fn all_jobs(&self) -> Result<Vec<JobRecord>> {
        let mut jobs = self.stored_jobs(None)?;
        for bot in self.list_bots()? {
            match self.inner.store.jobs(&bot.bot_id) {
                Ok(of_bot) => jobs.extend(of_bot),
                // The bot has been deleted since, and its jobs with it.
                Err(longtrainer_store::Error::BotNotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        jobs.sort_by_key(|job| job.created_at);
        self.listed(jobs)
    }

    pub(crate) fn stored_jobs(&self, bot_id: Option<&BotId>) -> Result<Vec<JobRecord>> {
        Ok(match bot_id {
            Some(bot_id) => self.inner.store.jobs(bot_id.as_str())?,
            None => self.inner.store.jobs_without_bot()?,
        })
    }

    fn listed(&self, jobs: Vec<JobRecord>) -> Result<Vec<JobRecord>> {
        Ok(jobs
            .into_iter()
            .map(|job| self.inner.jobs.with_progress(job))
            .collect())
    }

    /// Cancels a job. One that waits is cancelled when this returns; one that is at work is told, and
    /// ends at its next safe place: documents that it has made searchable by then stay so.
    ///
    /// # Errors
    ///
    /// [`Error::JobEnded`] if there is nothing left to cancel.
    pub fn cancel_job(&self, job_id: &str) -> Result<JobRecord> {
        let mut before = JobStatus::Pending;
        let at_work = self.inner.jobs.get(job_id);
        let job = self.inner.store.update_job(job_id, &mut |job| {
            before = job.status;
            let is_nobodys = at_work.is_none() && !job.status.is_ended();
            if job.status == JobStatus::Pending || is_nobodys {
                cancelled(job);
            }
        })?;
        if before.is_ended() {
            return Err(Error::JobEnded {
                job_id: job.job_id,
                status: before,
            });
        }
        match at_work {
            Some(control) if job.status == JobStatus::Processing => control.tell(Wish::Cancel),
            _ => self.clean_up(&job)?,
        }
        Ok(self.inner.jobs.with_progress(job))
    }

    /// Tells all jobs of this process to end where they can be taken up again after the next start.
    ///
    /// # Errors
    ///
    /// [`Error::OwnerOnly`] in the view of a tenant, since the jobs are everybody's.
    pub fn interrupt_jobs(&self) -> Result<()> {
        self.owner_only("interrupting all jobs")?;
        self.inner.jobs.tell_all(Wish::Interrupt);
        Ok(())
    }

    /// Tells the jobs of a bot that is about to go to end; returns the uploads that go with them.
    pub(crate) fn abandon_jobs(&self, bot_id: &BotId) -> Result<Vec<String>> {
        let jobs = self.stored_jobs(Some(bot_id))?;
        for job in &jobs {
            if let Some(control) = self.inner.jobs.get(&job.job_id) {
                control.tell(Wish::Cancel);
            }
        }
        Ok(jobs.iter().filter_map(upload_of).collect())
    }

    /// Forgets what only a job that has not ended needs.
    pub(crate) fn clean_up(&self, job: &JobRecord) -> Result<()> {
        self.inner.jobs.forget(&job.job_id);
        match upload_of(job) {
            Some(upload) => self.inner.data_dir.remove_upload(&upload),
            None => Ok(()),
        }
    }
}

/// Marks a job as cancelled.
pub(crate) fn cancelled(job: &mut JobRecord) {
    job.status = JobStatus::Cancelled;
    job.error = Some(CANCELLED.to_owned());
}

/// What a record says is to be done; `None` if this version cannot read it.
pub(crate) fn task_of(job: &JobRecord) -> Option<JobTask> {
    let task: Value = job.task.clone()?;
    serde_json::from_value(task).ok()
}

fn upload_of(job: &JobRecord) -> Option<String> {
    task_of(job)?.upload().map(str::to_owned)
}
