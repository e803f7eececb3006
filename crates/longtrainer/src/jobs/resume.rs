//! What an earlier run of the program left: jobs that it did not end, and files sent in for them.

use std::collections::HashSet;

use longtrainer_store::{JobRecord, JobStatus};

use crate::error::{Error, Result};
use crate::jobs::control::Wish;
use crate::jobs::records::task_of;
use crate::jobs::task::{IngestSource, JobTask};
use crate::trainer::LongTrainer;

/// How often a job is begun, at most: one that takes the process down must not do so for ever.
const ATTEMPTS: u32 = 3;

impl LongTrainer {
    /// Looks through the jobs that an earlier run left, for the start of whoever runs jobs: this
    /// process alone has the store, so nobody works on them. Those that can be done are pending
    /// again and come back, oldest first; the others are marked as failed with the reason. Files sent in
    /// for no job are removed.
    ///
    /// # Errors
    ///
    /// [`Error::OwnerOnly`] in the view of a tenant, which does not see all jobs, and those of the store.
    pub fn resume_jobs(&self) -> Result<Vec<JobRecord>> {
        self.owner_only("resuming what an earlier run left")?;
        let mut resumed = Vec::new();
        for job in self.all_jobs()? {
            if !job.status.is_ended() && self.is_left(&job) {
                resumed.extend(self.resume_job(&job)?);
            }
        }
        self.sweep_uploads()?;
        Ok(resumed)
    }

    /// Whether nobody in this process has the job in hand. One that still waited when its server was
    /// stopped has been told to end, and nobody will come back to it.
    fn is_left(&self, job: &JobRecord) -> bool {
        self.inner.jobs.get(&job.job_id).is_none_or(|control| {
            job.status == JobStatus::Pending && control.wish() == Wish::Interrupt
        })
    }

    /// The job as it is to be done, or `None` once it is marked as failed.
    fn resume_job(&self, job: &JobRecord) -> Result<Option<JobRecord>> {
        let failed = self.why_not_again(job);
        let job = self.inner.store.update_job(&job.job_id, &mut |job| {
            job.status = match failed {
                Some(_) => JobStatus::Failed,
                None => JobStatus::Pending,
            };
            job.error.clone_from(&failed);
        })?;
        if failed.is_some() {
            // The reason may have the name of a file, which is for the record alone.
            tracing::warn!(
                job_id = job.job_id,
                "job not begun again: its record says why"
            );
            self.clean_up(&job)?;
            return Ok(None);
        }
        self.inner.jobs.forget(&job.job_id);
        self.inner.jobs.control(&job.job_id);
        Ok(Some(job))
    }

    fn why_not_again(&self, job: &JobRecord) -> Option<String> {
        let ended = "the server ended before the job was done";
        let Some(task) = task_of(job) else {
            return Some(format!(
                "{ended}, and what it had to do was not written down"
            ));
        };
        if job.attempts >= ATTEMPTS {
            let attempts = job.attempts;
            return Some(format!(
                "{ended}, {attempts} times, so it is not begun again"
            ));
        }
        let missing = self.missing_file(&task)?;
        Some(format!("{ended}, and {missing} is gone"))
    }

    /// The first file of a task that is not there.
    fn missing_file(&self, task: &JobTask) -> Option<String> {
        let JobTask::Ingest { sources, .. } = task else {
            return None;
        };
        sources.iter().find_map(|source| match source {
            IngestSource::Link { .. } => None,
            IngestSource::Path { path } => (!path.is_file()).then(|| path.display().to_string()),
            IngestSource::Upload {
                upload,
                number,
                name,
            } => (!self.upload_file(upload, *number).is_file()).then(|| name.clone()),
        })
    }

    /// Removes the files of uploads that broke off, or whose job has ended.
    fn sweep_uploads(&self) -> Result<()> {
        let wanted: HashSet<_> = self
            .all_jobs()?
            .iter()
            .filter(|job| !job.status.is_ended())
            .filter_map(|job| Some(task_of(job)?.upload()?.to_owned()))
            .collect();
        let folder = self.inner.data_dir.uploads();
        let entries = std::fs::read_dir(&folder).map_err(|source| Error::Io {
            action: "list",
            path: folder.clone(),
            source,
        })?;
        for name in entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
        {
            if !wanted.contains(&name) {
                self.inner.data_dir.remove_upload(&name)?;
            }
        }
        Ok(())
    }
}
