//! The vision half of a model as it lies on the disk: a folder as published on the hub, or the `mmproj`
//! file that goes with a GGUF of the text half.
//!
//! Opening reads the configuration and compares names and shapes; values are read, and checked to be
//! finite numbers, when a tower asks for them.

mod folder;
mod mmproj;
pub(super) mod names;
mod safetensors;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use candle_core::Device;

use super::VisionConfig;
use crate::model_file::ModelFile;
use crate::{Error, Result};

use self::safetensors::Safetensors;

/// An open vision half.
#[derive(Debug)]
pub struct VisionCheckpoint {
    path: PathBuf,
    config: VisionConfig,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Folder(Safetensors),
    Mmproj(Box<ModelFile>),
}

impl VisionCheckpoint {
    /// Opens a folder of an Idefics3 or SmolVLM (`config.json`, `preprocessor_config.json`, safetensors,
    /// whose text half is left alone), or a GGUF file of projector type `idefics3`.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::Config`] for files that are missing or no configuration,
    /// [`Error::Unsupported`] for other architectures, projectors and activations, [`Error::BadModel`]
    /// for numbers that make no tower, and [`Error::BadTensor`] for tensors that are missing, have
    /// another shape than the configuration calls for, or that no part of the tower asks for.
    pub fn open(path: &Path) -> Result<Self> {
        let (config, source) = match path.is_dir() {
            true => {
                let config = folder::read(path)?;
                let files = Safetensors::open(path, names::is_of_vision)?;
                (config, Source::Folder(files))
            }
            false => {
                let file = ModelFile::open(path)?;
                (mmproj::read(&file)?, Source::Mmproj(Box::new(file)))
            }
        };
        let checkpoint = Self {
            path: path.to_owned(),
            config,
            source,
        };
        checkpoint.check()?;
        Ok(checkpoint)
    }

    /// The shape of the vision half.
    pub fn config(&self) -> &VisionConfig {
        &self.config
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// That the numbers make a tower, and that the tensors are those of one: none missing, none left.
    fn check(&self) -> Result<()> {
        self.config.check().map_err(|problem| {
            let path = match &self.source {
                Source::Folder(_) => self.path.join(folder::CONFIG),
                Source::Mmproj(_) => self.path.clone(),
            };
            Error::BadModel { path, problem }
        })?;
        let expected: Vec<String> = names::all(&self.config);
        for name in &expected {
            if self.dims(name).is_none() {
                return Err(self.bad(name, "it is missing"));
            }
        }
        let theirs: HashSet<String> = expected.iter().map(|name| self.name(name)).collect();
        // The least name, so that the message does not depend on the order of a table.
        let unknown = self.names().filter(|name| !theirs.contains(*name)).min();
        match unknown {
            Some(name) => Err(self.bad_named(name, "no part of the tower asks for it")),
            None => Ok(()),
        }
    }

    /// The values of a tensor, row after row, checked to have these dimensions and to be finite.
    pub(super) fn values(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>> {
        match self.dims(name) {
            Some(found) if found == dims => {}
            Some(found) => {
                let problem = format!("its shape is {found:?}, but must be {dims:?}");
                return Err(self.bad(name, problem));
            }
            None => return Err(self.bad(name, "it is missing")),
        }
        let values = match &self.source {
            Source::Folder(files) => files.values(&self.name(name)),
            Source::Mmproj(file) => Some(dequantised(file, &self.name(name), dims)),
        };
        let values = values.ok_or_else(|| self.bad(name, "it is missing"))?;
        let values = values.map_err(|problem| self.bad(name, problem))?;
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(self.bad(name, "it has values that are not finite numbers")),
        }
    }

    /// An error about a tensor.
    pub(super) fn bad(&self, name: &str, problem: impl Into<String>) -> Error {
        self.bad_named(&self.name(name), problem)
    }

    /// The same, of a tensor by what the file calls it.
    fn bad_named(&self, tensor: &str, problem: impl Into<String>) -> Error {
        let path = match &self.source {
            Source::Folder(files) => files.path_of(tensor),
            Source::Mmproj(_) => self.path.clone(),
        };
        Error::BadTensor {
            path,
            tensor: tensor.to_owned(),
            problem: problem.into(),
        }
    }

    /// What the file calls a tensor. Older files of llama.cpp have the names of the two maps of the
    /// feed-forward part in each other's place, which their shapes tell.
    fn name(&self, name: &str) -> String {
        let Source::Mmproj(file) = &self.source else {
            return names::hub(name);
        };
        let theirs = names::mmproj(name);
        match names::exchanged(&theirs) {
            Some((up, exchanged)) if self.is_exchanged(file, &up) => exchanged,
            _ => theirs,
        }
    }

    /// Whether the map called `up` has the shape of the one down.
    fn is_exchanged(&self, file: &ModelFile, up: &str) -> bool {
        let VisionConfig { hidden, inner, .. } = self.config;
        hidden != inner && file.tensor_dims(up) == Some(&[hidden, inner])
    }

    /// The dimensions of a tensor, outermost first.
    fn dims(&self, name: &str) -> Option<Vec<usize>> {
        let name = self.name(name);
        match &self.source {
            Source::Folder(files) => files.dims(&name),
            Source::Mmproj(file) => file.tensor_dims(&name).map(<[usize]>::to_vec),
        }
    }

    /// What the file calls its tensors of a vision half.
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match &self.source {
            Source::Folder(files) => {
                Box::new(files.names().filter(|name| names::is_of_vision(name)))
            }
            Source::Mmproj(file) => Box::new(file.tensor_names()),
        }
    }
}

/// The values of a tensor of any type that GGUF has; the mapped pages are given back.
fn dequantised(file: &ModelFile, name: &str, dims: &[usize]) -> Result<Vec<f32>, String> {
    let tensor = file.tensor(name, dims);
    let tensor = tensor.map_err(|error| error.to_string())?;
    let values = tensor.dequantize(&Device::Cpu);
    let values = values.and_then(|values| values.flatten_all()?.to_vec1());
    file.release(name);
    values.map_err(|error| error.to_string())
}
