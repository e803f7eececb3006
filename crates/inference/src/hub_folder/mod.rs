//! A text model in a folder as it is published on the hub: `config.json`, weights in safetensors, and
//! the files of a tokenizer.
//!
//! The folder is translated into the names of GGUF when it is opened: what [`config`] makes of
//! `config.json` are GGUF's keys, what [`names`] makes of the tensors' names are GGUF's. Everything that
//! reads models then reads this one, too. Of models that see, it is the half that reads: tensors
//! of the half that looks at pictures are left to whoever does that.

mod chat_template;
mod config;
mod fields;
mod names;
mod rope;
mod shards;
mod tensors;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model_file::ModelFile;
use crate::{Error, Result};

pub(crate) use chat_template::chat_template;
pub(crate) use fields::Fields;
pub(crate) use names::Names;

/// What makes a folder a model.
pub(crate) const CONFIG: &str = "config.json";

/// A folder with the files of a model.
#[derive(Debug, Clone)]
pub(crate) struct HubFolder {
    path: PathBuf,
}

/// Opens a folder: reads its configuration, maps its weights, and looks into nothing else yet.
pub(crate) fn open(path: &Path) -> Result<ModelFile> {
    let folder = HubFolder {
        path: path.to_owned(),
    };
    let config = config::translate(&folder.required(CONFIG)?)?;
    let shards = shards::open(&folder)?;
    let tensors = tensors::translate(&config, &shards)?;
    let maps = shards.into_iter().map(|shard| (shard.path, shard.map));
    Ok(ModelFile::of_folder(
        folder,
        config.names,
        config.metadata,
        tensors,
        maps.collect(),
    ))
}

impl HubFolder {
    /// The path of one of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file of JSON that must be there and hold an object.
    pub(crate) fn required(&self, name: &str) -> Result<Fields> {
        match self.optional(name)? {
            Some(fields) => Ok(fields),
            None => Err(Error::Read {
                path: self.file(name),
                source: ErrorKind::NotFound.into(),
            }),
        }
    }

    /// A file of JSON that holds an object, if it is there.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<Fields>> {
        let path = self.file(name);
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => Ok(Some(Fields::new(path, object))),
            Ok(_) => Err(Error::BadModel {
                path,
                problem: "it does not hold a JSON object".to_owned(),
            }),
            Err(source) => Err(Error::Config { path, source }),
        }
    }

    /// A file of text, if it is there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>> {
        let path = self.file(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read { path, source }),
        }
    }
}
