//! Jobs: long work that somebody asked for and does not wait for.
//!
//! A job is written down before it is acknowledged, with all that it takes to do it. Whoever has
//! threads, a server, [runs](crate::LongTrainer::run_job) it; anybody may look at it or cancel it. After a
//! crash [`LongTrainer::resume_jobs`](crate::LongTrainer::resume_jobs) finds what was left: every kind of work here may be done twice
//! with the result of once, so it is begun again, unless what it was to read is gone or it has
//! taken the process down several times.

mod control;
mod records;
mod report;
mod resume;
mod run;
mod task;
mod upload;

pub use task::{IngestSource, JobTask};
pub use upload::{Upload, file_name_of};

pub(crate) use control::RunningJobs;
