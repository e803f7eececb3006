//! The JSON of jobs, and the bodies of what becomes one.

use longtrainer::models::Role;
use longtrainer::{JobProgress, JobRecord, JobStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api_error::ApiError;

/// A job as its owner sees it: the documented fields, and ours beside them.
#[derive(Serialize)]
pub(crate) struct JobBody {
    job_id: String,
    bot_id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    status: JobStatus,
    created_at: String,
    error: Option<String>,
    updated_at: String,
    /// How much is done; `null` before the work begins.
    progress: Option<JobProgress>,
    /// What was done, once it is.
    result: Option<Value>,
}

impl From<JobRecord> for JobBody {
    fn from(job: JobRecord) -> Self {
        Self {
            job_id: job.job_id,
            bot_id: job.bot_id,
            kind: job.kind,
            status: job.status,
            created_at: job.created_at.to_string(),
            error: job.error,
            updated_at: job.updated_at.to_string(),
            progress: job.progress,
            result: job.result,
        }
    }
}

/// What is told of a job when it is asked for: the documented fields.
#[derive(Serialize)]
pub(crate) struct JobBegun {
    job_id: String,
    status: JobStatus,
}

impl From<JobRecord> for JobBegun {
    fn from(job: JobRecord) -> Self {
        Self {
            job_id: job.job_id,
            status: job.status,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct JobList {
    jobs: Vec<JobBody>,
}

impl From<Vec<JobRecord>> for JobList {
    fn from(jobs: Vec<JobRecord>) -> Self {
        Self {
            jobs: jobs.into_iter().map(JobBody::from).collect(),
        }
    }
}

/// Which jobs are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobsQuery {
    status: Option<JobStatus>,
}

impl JobsQuery {
    pub(crate) fn takes(&self, job: &JobRecord) -> bool {
        self.status.is_none_or(|status| status == job.status)
    }
}

/// Whether long work is waited for, as documented, or becomes a job.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackgroundQuery {
    #[serde(default)]
    pub(crate) background: bool,
}

/// Most links of one request.
const MOST_LINKS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinksRequest {
    pub(crate) links: Vec<String>,
    /// Whether the bot is built afterwards; then it is a job.
    #[serde(default)]
    pub(crate) build: bool,
}

impl LinksRequest {
    pub(crate) fn checked(self) -> Result<Self, ApiError> {
        match self.links.len() {
            1..=MOST_LINKS => Ok(self),
            links => Err(ApiError::unprocessable(format!(
                "links: {links} are given, but must be from 1 to {MOST_LINKS}"
            ))),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReindexRequest {
    pub(crate) embedding_model: Option<String>,
}

/// The body of what is done with one model.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelRequest {
    pub(crate) model: String,
}

/// A model, on this machine or not, in memory or not.
#[derive(Serialize)]
pub(crate) struct ModelBody {
    pub(crate) name: String,
    pub(crate) role: String,
    /// Whether it is used where none is named.
    pub(crate) default: bool,
    /// `ready`, `missing`, `damaged`, or `given` for one that the program brought along.
    pub(crate) status: &'static str,
    /// What is missing or wrong.
    pub(crate) reason: Option<String>,
    /// Bytes of its files.
    pub(crate) size: Option<u64>,
    pub(crate) licence: Option<String>,
    pub(crate) description: Option<String>,
    /// How it stands in memory; `null` if it does not.
    pub(crate) loaded: Option<LoadedBody>,
}

#[derive(Serialize)]
pub(crate) struct LoadedBody {
    pub(crate) memory_bytes: u64,
    pub(crate) in_use: bool,
    pub(crate) last_used: String,
    pub(crate) pinned: bool,
}

#[derive(Serialize)]
pub(crate) struct ModelList {
    pub(crate) models: Vec<ModelBody>,
}

#[derive(Serialize)]
pub(crate) struct OfModel {
    pub(crate) model: String,
    pub(crate) role: String,
}

impl OfModel {
    pub(crate) fn new(model: String, role: Role) -> Self {
        Self {
            model,
            role: role.to_string(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Unloaded {
    pub(crate) model: String,
    /// Whether it was in memory.
    pub(crate) was_loaded: bool,
}
