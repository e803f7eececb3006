//! What jobs did, as their records tell it.

use serde_json::{Value, json};

use crate::build::BuildReport;
use crate::documents::AddReport;
use crate::training::TrainReport;

pub(crate) fn built(report: &BuildReport) -> Value {
    json!({
        "documents": report.documents,
        "chunks": report.chunks,
        "already_built": report.already_built,
        "elapsed_ms": report.elapsed.as_millis() as u64,
    })
}

pub(crate) fn ingested(files: usize, added: &AddReport, replaced: usize) -> Value {
    json!({
        "files": files,
        "added": added.added.len(),
        "already_there": added.already_there,
        "replaced": replaced,
    })
}

pub(crate) fn trained(trained: &TrainReport, build: &BuildReport) -> Value {
    json!({
        "message": trained.message,
        "csv_path": trained.csv_path,
        "turns": trained.turns,
        "build": built(build),
    })
}
