//! The JSON of jobs, and the bodies of what becomes one.

use longtrainer::models::Role;
use longtrainer::{JobProgress, JobRecord, JobStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::api_error::ApiError;

/// A job as its owner sees it: the documented fields, and ours beside them.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobBody {
    /// Its id.
    #[schema(example = "6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11")]
    job_id: String,
    /// The bot it works for; `null` if it works for none.
    bot_id: Option<String>,
    /// Kind of work.
    #[serde(rename = "type")]
    #[schema(example = "document_ingest")]
    kind: String,
    /// How far it has come.
    status: JobStatus,
    /// When it was asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// Why it failed.
    error: Option<String>,
    /// When something of it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
    /// How much is done; `null` before the work begins.
    progress: Option<JobProgress>,
    /// What was done, once it is.
    #[schema(value_type = Option<Object>)]
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
#[derive(Serialize, ToSchema)]
pub(crate) struct JobBegun {
    /// Its id, to ask after it.
    #[schema(example = "6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11")]
    job_id: String,
    /// How far it has come.
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

/// Jobs, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobList {
    /// The jobs.
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
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobsQuery {
    /// Only jobs that have come this far.
    #[param(inline)]
    status: Option<JobStatus>,
}

impl JobsQuery {
    pub(crate) fn takes(&self, job: &JobRecord) -> bool {
        self.status.is_none_or(|status| status == job.status)
    }
}

/// Whether long work is waited for, as documented, or becomes a job.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackgroundQuery {
    /// Whether it becomes a job.
    #[serde(default)]
    pub(crate) background: bool,
}

/// Most links of one request.
const MOST_LINKS: usize = 100;

/// Links to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinksRequest {
    /// Where they lead.
    #[schema(min_items = 1, max_items = 100, example = json!(["https://example.com/report.html"]))]
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

/// How documents are embedded again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReindexRequest {
    /// By this model from now on; without one, by that which the bot has.
    pub(crate) embedding_model: Option<String>,
}

/// The body of what is done with one model.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelRequest {
    /// Its name.
    #[schema(example = "all-MiniLM-L6-v2")]
    pub(crate) model: String,
}

/// A model, on this machine or not, in memory or not.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelBody {
    /// Its name.
    pub(crate) name: String,
    /// What it is for.
    #[schema(example = "text")]
    pub(crate) role: String,
    /// Whether it is used where none is named.
    pub(crate) default: bool,
    /// `ready`, `missing`, `damaged`, or `given` for one that the program brought along.
    pub(crate) status: &'static str,
    /// What is missing or wrong.
    pub(crate) reason: Option<String>,
    /// Bytes of its files, as far as they are known.
    pub(crate) size: Option<u64>,
    /// Whether these are all of them.
    pub(crate) size_is_exact: bool,
    /// Its licence.
    pub(crate) licence: Option<String>,
    /// What it is, in a line.
    pub(crate) description: Option<String>,
    /// How it stands in memory; `null` if it does not.
    pub(crate) loaded: Option<LoadedBody>,
}

/// How a model stands in memory.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoadedBody {
    /// Memory that it takes.
    pub(crate) memory_bytes: u64,
    /// Whether somebody uses it now.
    pub(crate) in_use: bool,
    /// When it was last used.
    #[schema(format = DateTime)]
    pub(crate) last_used: String,
    /// Whether it stays, because the program brought it along.
    pub(crate) pinned: bool,
}

/// All models.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    /// The models.
    pub(crate) models: Vec<ModelBody>,
}

/// Names a model.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfModel {
    /// The model.
    pub(crate) model: String,
    /// What it is for.
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

/// Names a model that was to go.
#[derive(Serialize, ToSchema)]
pub(crate) struct Unloaded {
    /// The model.
    pub(crate) model: String,
    /// Whether it was in memory.
    pub(crate) was_loaded: bool,
}
