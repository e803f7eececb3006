//! The records of long work that a server does in the background. The work itself is the
//! server's; here it is only written down, so that a restart knows of it.

use jiff::Timestamp;
use longtrainer_store::{JobRecord, JobStatus};
use uuid::Uuid;

use crate::error::Result;
use crate::ids::BotId;
use crate::trainer::LongTrainer;

/// Why a job failed that was at work when its server ended.
const INTERRUPTED: &str = "the server ended before the job was done";

impl LongTrainer {
    /// Writes down a job of a bot as pending. `kind` is what the listing calls it,
    /// `document_ingest` for one.
    pub fn create_job(&self, bot_id: &BotId, kind: &str) -> Result<JobRecord> {
        let now = Timestamp::now();
        let job = JobRecord {
            job_id: Uuid::new_v4().to_string(),
            bot_id: bot_id.to_string(),
            kind: kind.to_owned(),
            status: JobStatus::Pending,
            created_at: now,
            error: None,
            updated_at: now,
        };
        self.inner.store.put_job(&job)?;
        Ok(job)
    }

    /// Writes down how far a job has come; `error` is why it failed.
    pub fn update_job(
        &self,
        job_id: &str,
        status: JobStatus,
        error: Option<&str>,
    ) -> Result<JobRecord> {
        let mut job = self.job(job_id)?;
        job.status = status;
        job.error = error.map(str::to_owned);
        job.updated_at = Timestamp::now();
        self.inner.store.put_job(&job)?;
        Ok(job)
    }

    /// One job.
    pub fn job(&self, job_id: &str) -> Result<JobRecord> {
        Ok(self.inner.store.job(job_id)?)
    }

    /// The jobs of a bot, oldest first.
    pub fn jobs(&self, bot_id: &BotId) -> Result<Vec<JobRecord>> {
        Ok(self.inner.store.jobs(bot_id.as_str())?)
    }

    /// Marks every pending or processing job as failed and returns how many there were. For the
    /// start of a server: whoever worked on them is gone, since one process alone has the store.
    pub fn fail_interrupted_jobs(&self) -> Result<usize> {
        let mut failed = 0;
        for bot in self.inner.store.bots()? {
            for job in self.inner.store.jobs(&bot.bot_id)? {
                if matches!(job.status, JobStatus::Pending | JobStatus::Processing) {
                    self.update_job(&job.job_id, JobStatus::Failed, Some(INTERRUPTED))?;
                    failed += 1;
                }
            }
        }
        Ok(failed)
    }
}
