//! The list of models: the one compiled in, and a user's own on top of it.
//!
//! A user's entry replaces the built-in one of the same name, and a default of the user's file wins
//! over the built-in default of that role. Anything malformed is an error that names file and line.

use std::path::Path;

use serde::Deserialize;

use crate::entry::ModelEntry;
use crate::error::{Error, Result};

const BUILT_IN: &str = include_str!("../../../models/models.toml");

/// The shape of `models.toml`.
#[derive(Deserialize)]
#[serde(try_from = "RawManifest")]
struct Manifest {
    models: Vec<ModelEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    version: u32,
    #[serde(rename = "model", default)]
    models: Vec<ModelEntry>,
}

impl TryFrom<RawManifest> for Manifest {
    type Error = String;

    fn try_from(raw: RawManifest) -> Result<Self, String> {
        if raw.version != 1 {
            return Err(format!(
                "version is {}, but this program reads version 1",
                raw.version
            ));
        }
        for (index, model) in raw.models.iter().enumerate() {
            let earlier = &raw.models[..index];
            if earlier
                .iter()
                .any(|other| other.name.eq_ignore_ascii_case(&model.name))
            {
                return Err(format!("model {:?} is listed twice", model.name));
            }
            if model.default && earlier.iter().any(|o| o.default && o.role == model.role) {
                return Err(format!(
                    "model {:?} is a second default for {}",
                    model.name, model.role
                ));
            }
        }
        Ok(Self { models: raw.models })
    }
}

/// The built-in models, with a user's file merged into them.
pub(crate) fn load(user_file: Option<&Path>) -> Result<Vec<ModelEntry>> {
    let built_in = parse(BUILT_IN, Path::new("models.toml (built in)"))?;
    let Some(path) = user_file else {
        return Ok(built_in);
    };
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    Ok(merge(built_in, parse(&text, path)?))
}

fn parse(text: &str, path: &Path) -> Result<Vec<ModelEntry>> {
    toml::from_str::<Manifest>(text)
        .map(|manifest| manifest.models)
        .map_err(|source| {
            let start = source.span().map_or(0, |span| span.start).min(text.len());
            Error::Manifest {
                path: path.to_owned(),
                line: 1 + text.as_bytes()[..start]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count(),
                source: Box::new(source),
            }
        })
}

fn merge(mut models: Vec<ModelEntry>, added: Vec<ModelEntry>) -> Vec<ModelEntry> {
    for new in added {
        if new.default {
            models
                .iter_mut()
                .filter(|old| old.role == new.role)
                .for_each(|old| old.default = false);
        }
        match models
            .iter_mut()
            .find(|old| old.name.eq_ignore_ascii_case(&new.name))
        {
            Some(old) => *old = new,
            None => models.push(new),
        }
    }
    models
}

#[cfg(test)]
mod tests;
