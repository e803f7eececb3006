//! Which files the list of models may name without saying what is in them.
//!
//! A commit of a hub repository is named by a hash over its files, so whoever names one has said
//! which contents are meant. A branch moves, and a package of some version is whatever its index
//! hands out: with these, and for everything that holds tensors, the list must say it itself.

use super::{FileEntry, HubSource, ModelEntry, RawModel, Source, is_hex};

impl HubSource {
    /// Whether the revision is a whole commit, which names contents that cannot change.
    pub fn is_pinned(&self) -> bool {
        is_hex(&self.revision, 40)
    }

    /// Repository and revision as one word.
    pub(crate) fn pin(&self) -> String {
        format!("{}@{}", self.repo, self.revision)
    }
}

impl ModelEntry {
    /// Whether one of its sources is this repository at this revision.
    pub(crate) fn has_pin(&self, pin: &str) -> bool {
        let is_it = |source: &Source| matches!(source, Source::Hub(hub) if hub.pin() == pin);
        self.sources.iter().any(is_it)
    }
}

/// Checks that every file has a size and a hash that must have them.
pub(super) fn check(model: &RawModel) -> Result<(), String> {
    let is_vague = |file: &&FileEntry| file.size.is_none() || file.sha256.is_none();
    for file in model.files.iter().filter(is_vague) {
        if let Some(reason) = reason_to_be_exact(model, file) {
            let (name, path) = (&model.name, &file.path);
            return Err(format!(
                "model {name:?}: file {path:?} needs a size and a SHA-256, because {reason}"
            ));
        }
    }
    Ok(())
}

/// Why a file must have both, if it must.
fn reason_to_be_exact(model: &RawModel, file: &FileEntry) -> Option<String> {
    let is_named = file.path == model.weights || model.adapter.as_ref() == Some(&file.path);
    let ends_with = |ending| file.path.to_ascii_lowercase().ends_with(ending);
    if is_named || ends_with(".safetensors") || ends_with(".gguf") {
        return Some("it holds weights".to_owned());
    }
    if model.sources.is_empty() {
        return Some("the model has no source that fixes its contents".to_owned());
    }
    let is_pinned = |source: &Source| matches!(source, Source::Hub(hub) if hub.is_pinned());
    let loose = model.sources.iter().find(|source| !is_pinned(source))?;
    Some(format!(
        "its source {loose} is not a hub repository at a commit of 40 hexadecimal digits"
    ))
}
