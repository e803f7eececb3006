//! Tensors of a folder's safetensors: one file, or several with an index of which tensor is where.
//!
//! The files are mapped, and only the tensors asked for are read.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use longtrainer_kernels::MappedFile;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata};
use serde::Deserialize;

use crate::{Error, Result};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The open files of a folder.
#[derive(Debug)]
pub(super) struct Safetensors {
    shards: Vec<Shard>,
    /// The shard of each tensor.
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: MappedFile,
    metadata: Metadata,
    /// Where the values begin.
    start: usize,
}

#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

impl Safetensors {
    /// Opens what the folder has: the one file, or else those of the index that hold tensors which are
    /// wanted.
    pub(super) fn open(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let single = folder.join(SINGLE);
        let index = folder.join(INDEX);
        if single.exists() || !index.exists() {
            return Self::of_files(&[single]);
        }
        let bytes = std::fs::read(&index).map_err(|source| Error::Read {
            path: index.clone(),
            source,
        })?;
        let Index { weight_map } =
            serde_json::from_slice(&bytes).map_err(|source| Error::Config {
                path: index.clone(),
                source,
            })?;
        let wanted = weight_map.into_iter().filter(|(tensor, _)| wanted(tensor));
        let names: BTreeSet<String> = wanted.map(|(_, file)| file).collect();
        // A name with a folder in it would leave this one.
        if let Some(name) = names.iter().find(|name| !is_plain(name)) {
            return Err(bad(
                &index,
                format!("{name:?} is no name of a file beside it"),
            ));
        }
        let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
        Self::of_files(&paths)
    }

    fn of_files(paths: &[PathBuf]) -> Result<Self> {
        let shards: Vec<Shard> = paths.iter().map(Shard::open).collect::<Result<_>>()?;
        let mut places = HashMap::new();
        for (number, shard) in shards.iter().enumerate() {
            for name in shard.metadata.tensors().into_keys() {
                if places.insert(name.clone(), number).is_some() {
                    return Err(bad_tensor(&shard.path, &name, "it is in two files"));
                }
            }
        }
        Ok(Self { shards, places })
    }

    /// The tensors' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The file of a tensor, for messages: the first if no file has it.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        let number = self.places.get(name).copied().unwrap_or_default();
        let shard = self.shards.get(number);
        shard.map_or_else(PathBuf::new, |shard| shard.path.clone())
    }

    /// The dimensions of a tensor.
    pub(super) fn dims(&self, name: &str) -> Option<Vec<usize>> {
        let shard = &self.shards[*self.places.get(name)?];
        Some(shard.metadata.info(name)?.shape.clone())
    }

    /// The values of a tensor; `None` if there is none of this name.
    pub(super) fn values(&self, name: &str) -> Option<Result<Vec<f32>, String>> {
        let shard = &self.shards[*self.places.get(name)?];
        let info = shard.metadata.info(name)?;
        let (from, to) = info.data_offsets;
        let range = (shard.start + from) as u64..(shard.start + to) as u64;
        let values = widen(info.dtype, shard.map.bytes(range.clone())?);
        // A tower reads each tensor once: its pages would lie beside the packed weights for nothing.
        if let Err(error) = shard.map.release(range) {
            tracing::debug!(%error, "mapped pages were not released");
        }
        Some(values)
    }
}

impl Shard {
    fn open(path: &PathBuf) -> Result<Self> {
        let failed = |source| Error::Read {
            path: path.clone(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(bad(path, "it is not a file"));
        }
        let map = MappedFile::new(&file).map_err(failed)?;
        let read = SafeTensors::read_metadata(map.all());
        let (length, metadata) = read.map_err(|error| bad(path, error.to_string()))?;
        Ok(Self {
            path: path.clone(),
            // The header's length stands before it, in eight bytes.
            start: length + 8,
            map,
            metadata,
        })
    }
}

fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

/// Little-endian values as f32.
fn widen(dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, String> {
    match dtype {
        Dtype::F32 => Ok(numbers(bytes, f32::from_le_bytes)),
        Dtype::F16 => Ok(numbers(bytes, |pair| f16::from_le_bytes(pair).to_f32())),
        Dtype::BF16 => Ok(numbers(bytes, |pair| bf16::from_le_bytes(pair).to_f32())),
        other => Err(format!(
            "its type {other:?} is not supported; supported are F32, F16, BF16"
        )),
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<N>();
    numbers.iter().map(|bytes| number(*bytes)).collect()
}

fn bad(path: &Path, problem: impl Into<String>) -> Error {
    Error::BadModel {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

fn bad_tensor(path: &Path, tensor: &str, problem: &str) -> Error {
    Error::BadTensor {
        path: path.to_owned(),
        tensor: tensor.to_owned(),
        problem: problem.to_owned(),
    }
}
