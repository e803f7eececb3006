//! The jobs of this process: what each is told, and how far it has come.
//!
//! Progress is kept in memory alone. It changes many times a second, and a commit costs two syncs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longtrainer_store::{JobProgress, JobRecord, JobStatus};

use crate::build::BuildProgress;
use crate::error::{Error, Result};

/// What somebody wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wish {
    /// That it gets on with it.
    GoOn,
    /// That it ends for good.
    Cancel,
    /// That it ends now and is begun again at the next start.
    Interrupt,
}

/// One job of this process.
pub(crate) struct JobControl {
    wish: AtomicU8,
    progress: Mutex<Option<JobProgress>>,
}

impl JobControl {
    fn new() -> Self {
        Self {
            wish: AtomicU8::new(Wish::GoOn as u8),
            progress: Mutex::default(),
        }
    }

    pub(crate) fn wish(&self) -> Wish {
        match self.wish.load(Ordering::Acquire) {
            wish if wish == Wish::Cancel as u8 => Wish::Cancel,
            wish if wish == Wish::Interrupt as u8 => Wish::Interrupt,
            _ => Wish::GoOn,
        }
    }

    /// Tells the job to end. One that is cancelled is not interrupted any more.
    pub(crate) fn tell(&self, wish: Wish) {
        match wish {
            Wish::Cancel => self.wish.store(wish as u8, Ordering::Release),
            // A failure means that something has been told already.
            _ => drop(self.wish.compare_exchange(
                Wish::GoOn as u8,
                wish as u8,
                Ordering::AcqRel,
                Ordering::Acquire,
            )),
        }
    }

    /// Fails if the job is to end.
    pub(crate) fn check(&self) -> Result<()> {
        match self.wish() {
            Wish::GoOn => Ok(()),
            Wish::Cancel | Wish::Interrupt => Err(Error::JobStopped),
        }
    }

    /// Notes how far the job has come. Fails if it is to end.
    pub(crate) fn reach(&self, phase: &str, done: u64, total: Option<u64>) -> Result<()> {
        *self.lock() = Some(JobProgress {
            phase: phase.to_owned(),
            done,
            total,
        });
        self.check()
    }

    /// Notes how far a build has come. Fails if the job is to end.
    pub(crate) fn reach_in_build(&self, build: BuildProgress) -> Result<()> {
        let total = build.documents_total as u64;
        self.reach("building", build.documents_done as u64, Some(total))
    }

    pub(crate) fn progress(&self) -> Option<JobProgress> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<JobProgress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The jobs of this process that have not ended, by id.
#[derive(Default)]
pub(crate) struct RunningJobs(Mutex<HashMap<String, Arc<JobControl>>>);

impl RunningJobs {
    /// The control of a job, made if there is none.
    pub(crate) fn control(&self, job_id: &str) -> Arc<JobControl> {
        let mut jobs = self.lock();
        let control = jobs
            .entry(job_id.to_owned())
            .or_insert_with(|| Arc::new(JobControl::new()));
        Arc::clone(control)
    }

    /// The control of a job that is waiting or at work here.
    pub(crate) fn get(&self, job_id: &str) -> Option<Arc<JobControl>> {
        self.lock().get(job_id).cloned()
    }

    pub(crate) fn forget(&self, job_id: &str) {
        self.lock().remove(job_id);
    }

    pub(crate) fn tell_all(&self, wish: Wish) {
        self.lock().values().for_each(|control| control.tell(wish));
    }

    /// A record with what only this process knows of the job.
    pub(crate) fn with_progress(&self, mut job: JobRecord) -> JobRecord {
        if job.status == JobStatus::Processing
            && let Some(control) = self.get(&job.job_id)
        {
            job.progress = control.progress().or(job.progress);
            if control.wish() == Wish::Cancel
                && let Some(progress) = &mut job.progress
            {
                progress.phase = "cancelling".to_owned();
            }
        }
        job
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<JobControl>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_cancelled_stays_so_when_the_server_stops() {
        let jobs = RunningJobs::default();
        let (one, other) = (jobs.control("one"), jobs.control("other"));
        one.tell(Wish::Cancel);
        jobs.tell_all(Wish::Interrupt);
        assert_eq!((one.wish(), other.wish()), (Wish::Cancel, Wish::Interrupt));
        assert!(other.reach("building", 1, None).is_err());
        assert_eq!(other.progress().unwrap().done, 1);
    }
}
