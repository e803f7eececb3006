//! Models: which there are, and for the owner, whose disk and memory all share, fetching them and taking
//! them into memory or out of it.

use axum::Json;
use axum::http::StatusCode;
use longtrainer::models::{ModelEntry, ModelStatus};
use longtrainer::{JobTask, LoadedModel, LongTrainer};

use crate::api_error::ApiError;
use crate::body::JsonBody;
use crate::handlers::jobs;
use crate::job_types::{
    JobBegun, LoadedBody, ModelBody, ModelList, ModelRequest, OfModel, Unloaded,
};
use crate::openapi::responses::{Conflict, NoModel, OwnersOnly, Refused, UnknownModel};
use crate::scoped::{OwnerOnly, Scoped};
use crate::types::Done;

/// Lists the models
///
/// Those of the registry with where they stand, and those in memory that it does not know.
#[utoipa::path(
    get,
    path = "/models",
    operation_id = "list_models",
    tag = "models",
    responses(
        (status = 200, description = "The models", body = ModelList),
    ),
)]
pub(crate) async fn list(Scoped(state): Scoped) -> Result<Json<ModelList>, ApiError> {
    let models = state
        .call(|trainer| Ok::<_, ApiError>(all_models(trainer)))
        .await?;
    Ok(Json(ModelList { models }))
}

/// The models of the registry, and those in memory that it does not know.
fn all_models(trainer: &LongTrainer) -> Vec<ModelBody> {
    let mut loaded = trainer.loaded_models();
    let mut take = |name: &str| {
        let place = loaded.iter().position(|model| model.name == name)?;
        Some(loaded.swap_remove(place))
    };
    let mut models: Vec<_> = trainer
        .models()
        .models()
        .iter()
        .map(|entry| known(trainer, entry, take(&entry.name)))
        .collect();
    models.extend(loaded.into_iter().map(unknown));
    models
}

fn known(trainer: &LongTrainer, entry: &ModelEntry, loaded: Option<LoadedModel>) -> ModelBody {
    let (status, reason) = match trainer.models().status(&entry.name) {
        ModelStatus::Ready { .. } => ("ready", None),
        ModelStatus::Missing { files } => {
            ("missing", Some(format!("not here: {}", files.join(", "))))
        }
        ModelStatus::Damaged { reason } => ("damaged", Some(reason)),
        _ => ("unknown", None),
    };
    ModelBody {
        name: entry.name.clone(),
        role: entry.role.to_string(),
        default: entry.default,
        status,
        reason,
        size: Some(entry.least_size()),
        size_is_exact: entry.total_size().is_some(),
        licence: Some(entry.licence.clone()),
        description: Some(entry.description.clone()),
        loaded: loaded.map(in_memory),
    }
}

fn unknown(model: LoadedModel) -> ModelBody {
    ModelBody {
        name: model.name.clone(),
        role: model.role.to_string(),
        default: false,
        status: "given",
        reason: None,
        size: None,
        size_is_exact: false,
        licence: None,
        description: None,
        loaded: Some(in_memory(model)),
    }
}

fn in_memory(model: LoadedModel) -> LoadedBody {
    LoadedBody {
        memory_bytes: model.memory_bytes,
        in_use: model.in_use,
        last_used: model.last_used.to_string(),
        pinned: model.pinned,
    }
}

/// Fetches a model, as a job
#[utoipa::path(
    post,
    path = "/models/pull",
    operation_id = "pull_model",
    tag = "models",
    request_body = ModelRequest,
    responses(
        (status = 202, description = "The job", body = JobBegun),
        UnknownModel,
        Refused,
        OwnersOnly,
    ),
)]
pub(crate) async fn pull(
    OwnerOnly(state): OwnerOnly,
    JsonBody(ModelRequest { model }): JsonBody<ModelRequest>,
) -> Result<(StatusCode, Json<JobBegun>), ApiError> {
    jobs::begin(&state, JobTask::Pull { model }).await
}

/// Takes a model into memory
///
/// Only models of the registry: a path would let a client open any file.
#[utoipa::path(
    post,
    path = "/models/load",
    operation_id = "load_model",
    tag = "models",
    request_body = ModelRequest,
    responses(
        (status = 200, description = "It is in memory", body = Done<OfModel>),
        UnknownModel,
        Refused,
        OwnersOnly,
        NoModel,
    ),
)]
pub(crate) async fn load(
    OwnerOnly(state): OwnerOnly,
    JsonBody(ModelRequest { model }): JsonBody<ModelRequest>,
) -> Result<Json<Done<OfModel>>, ApiError> {
    let ids = state
        .call(move |trainer| {
            let loaded = trainer.loaded_models();
            let role = match loaded.iter().find(|loaded| loaded.name == model) {
                Some(loaded) => loaded.role,
                None => {
                    let entry = trainer.models().entry(&model);
                    entry.map_err(longtrainer::Error::from)?.role
                }
            };
            trainer.load_model(&model, role)?;
            Ok::<_, longtrainer::Error>(OfModel::new(model, role))
        })
        .await?;
    Ok(Json(Done { status: "ok", ids }))
}

/// Takes a model out of memory
#[utoipa::path(
    post,
    path = "/models/unload",
    operation_id = "unload_model",
    tag = "models",
    request_body = ModelRequest,
    responses(
        (status = 200, description = "It is not in memory", body = Done<Unloaded>),
        UnknownModel,
        Refused,
        OwnersOnly,
        Conflict,
    ),
)]
pub(crate) async fn unload(
    OwnerOnly(state): OwnerOnly,
    JsonBody(ModelRequest { model }): JsonBody<ModelRequest>,
) -> Result<Json<Done<Unloaded>>, ApiError> {
    let ids = state
        .call(move |trainer| {
            let was_loaded = trainer.unload_model(&model)?;
            Ok::<_, longtrainer::Error>(Unloaded { model, was_loaded })
        })
        .await?;
    Ok(Json(Done { status: "ok", ids }))
}
