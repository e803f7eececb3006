//! A model as it lies on the disk: metadata and tensors under the names of GGUF, whoever wrote them.
//!
//! GGUF's names are the common language of what reads models here: its keys for sizes and numbers, its
//! names for tensors. A GGUF file has them ([`crate::gguf`]); a folder as published on the hub is
//! translated into them when it is opened ([`crate::hub_folder`]), and what it calls things itself is
//! kept for messages.
//!
//! Files are mapped: weights are repacked from the mapping, which so costs no copy and, as tensors
//! are released, no memory beyond the one at hand. After loading, the files may change or go.

mod values;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use longtrainer_kernels::MappedFile;

use crate::hub_folder::{HubFolder, Names};
use crate::{Error, Result};

/// An open model.
#[derive(Debug)]
pub(crate) struct ModelFile {
    /// What messages about metadata name: the GGUF file, or the folder's `config.json`.
    path: PathBuf,
    folder: Option<(HubFolder, Names)>,
    metadata: HashMap<String, Value>,
    /// What the model itself calls its metadata, where that is not the key.
    fields: HashMap<String, String>,
    tensors: HashMap<String, StoredTensor>,
    maps: Vec<(PathBuf, MappedFile)>,
    /// Bytes of made-up matrices.
    pool: Vec<u8>,
    rounds_weights: bool,
}

/// A tensor of an open model, described.
#[derive(Debug)]
pub(crate) struct StoredTensor {
    /// What the file calls it.
    pub(crate) name: String,
    /// Dimensions, outermost first.
    pub(crate) dims: Vec<usize>,
    /// How its values are written.
    pub(crate) dtype: GgmlDType,
    /// Where they are.
    pub(crate) data: TensorData,
}

/// Where the values of a tensor are.
#[derive(Debug)]
pub(crate) enum TensorData {
    /// In a mapped file, by its number.
    Mapped { file: usize, bytes: Range<u64> },
    /// Computed when the model was opened: of norms and rotary factors, never of matrices.
    Made(Vec<u8>),
    /// Made up: so many bytes of the pool that all matrices of a made-up model read.
    Pooled(usize),
}

/// A tensor as it lies in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawTensor<'file> {
    /// How its values are written.
    pub(crate) dtype: GgmlDType,
    /// Its rows, one after another.
    pub(crate) bytes: &'file [u8],
}

impl ModelFile {
    /// Opens a GGUF file, or a folder with `config.json` and safetensors.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        match path.is_dir() {
            true => crate::hub_folder::open(path),
            false => crate::gguf::open(path),
        }
    }

    /// One file in GGUF's own names.
    pub(crate) fn new(
        path: &Path,
        metadata: HashMap<String, Value>,
        tensors: HashMap<String, StoredTensor>,
        map: MappedFile,
    ) -> Self {
        Self {
            path: path.to_owned(),
            folder: None,
            metadata,
            fields: HashMap::new(),
            tensors,
            maps: vec![(path.to_owned(), map)],
            pool: Vec::new(),
            rounds_weights: false,
        }
    }

    /// A folder: `metadata` are values by key, each with what `config.json` calls it.
    pub(crate) fn of_folder(
        folder: HubFolder,
        names: Names,
        metadata: HashMap<String, (String, Value)>,
        tensors: HashMap<String, StoredTensor>,
        maps: Vec<(PathBuf, MappedFile)>,
    ) -> Self {
        let mut model = Self {
            path: folder.file(crate::hub_folder::CONFIG),
            folder: Some((folder, names)),
            metadata: HashMap::new(),
            fields: HashMap::new(),
            tensors,
            maps,
            pool: Vec::new(),
            rounds_weights: false,
        };
        for (key, (field, value)) in metadata {
            model.fields.insert(key.clone(), field);
            model.metadata.insert(key, value);
        }
        model
    }

    /// A made-up model in GGUF's own names; `name` stands in messages for its file.
    pub(crate) fn made_up(
        name: &str,
        metadata: HashMap<String, Value>,
        tensors: HashMap<String, StoredTensor>,
        pool: Vec<u8>,
    ) -> Self {
        Self {
            path: name.into(),
            folder: None,
            metadata,
            fields: HashMap::new(),
            tensors,
            maps: Vec::new(),
            pool,
            rounds_weights: false,
        }
    }

    /// The model, with its dense matrices to be rounded to bytes for our kernels or not.
    pub(crate) fn with_rounded_weights(self, rounds_weights: bool) -> Self {
        Self {
            rounds_weights,
            ..self
        }
    }

    /// What all tensors take as they lie in the file, in bytes.
    pub(crate) fn tensor_bytes(&self) -> u64 {
        let sizes = self.tensors.values().map(|tensor| match &tensor.data {
            TensorData::Mapped { bytes, .. } => bytes.end - bytes.start,
            TensorData::Made(bytes) => bytes.len() as u64,
            TensorData::Pooled(bytes) => *bytes as u64,
        });
        sizes.sum()
    }

    /// Whether dense matrices are to be rounded to bytes.
    pub(crate) fn rounds_weights(&self) -> bool {
        self.rounds_weights
    }

    /// The folder that this is, if it is not a GGUF file.
    pub(crate) fn folder(&self) -> Option<&HubFolder> {
        self.folder.as_ref().map(|(folder, _)| folder)
    }

    /// An error about this file.
    pub(crate) fn bad(&self, problem: impl Into<String>) -> Error {
        Error::BadModel {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }

    /// An error about a tensor of this file.
    pub(crate) fn bad_tensor(&self, tensor: &str, problem: impl Into<String>) -> Error {
        let stored = self.tensors.get(tensor);
        let name = match (stored, &self.folder) {
            (Some(stored), _) => stored.name.clone(),
            (None, Some((_, names))) => names.published(tensor),
            (None, None) => tensor.to_owned(),
        };
        let path = match stored.map(|stored| &stored.data) {
            Some(TensorData::Mapped { file, .. }) => self.maps.get(*file).map(|(path, _)| path),
            _ => None,
        };
        Error::BadTensor {
            path: path.unwrap_or(&self.path).clone(),
            tensor: name,
            problem: problem.into(),
        }
    }

    /// An error about something that this file asks for and nobody here can do.
    pub(crate) fn unsupported(
        &self,
        what: &'static str,
        found: impl Into<String>,
        supported: &'static str,
    ) -> Error {
        Error::Unsupported {
            path: self.path.clone(),
            what,
            found: found.into(),
            supported,
        }
    }

    /// Names of all tensors.
    pub(crate) fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Dimensions of a tensor, outermost first.
    pub(crate) fn tensor_dims(&self, name: &str) -> Option<&[usize]> {
        let tensor = self.tensors.get(name)?;
        Some(&tensor.dims)
    }

    /// How a tensor's values are written.
    pub(crate) fn tensor_dtype(&self, name: &str) -> Option<GgmlDType> {
        let tensor = self.tensors.get(name)?;
        Some(tensor.dtype)
    }

    /// Reads a tensor, which must have these dimensions, to the processor.
    pub(crate) fn tensor(&self, name: &str, dims: &[usize]) -> Result<QTensor> {
        let RawTensor { dtype, bytes } = self.raw_tensor(name, dims)?;
        let storage = QStorage::from_data(Cow::Owned(bytes.to_vec()), &Device::Cpu, dtype);
        let tensor = storage.and_then(|storage| QTensor::new(storage, dims));
        tensor.map_err(|error| self.bad_tensor(name, error.to_string()))
    }

    /// The bytes of a tensor, which must have these dimensions.
    pub(crate) fn raw_tensor(&self, name: &str, dims: &[usize]) -> Result<RawTensor<'_>> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(self.bad_tensor(name, "it is missing"));
        };
        let found = tensor.dims.as_slice();
        if found != dims {
            let problem = format!("its shape is {found:?}, but must be {dims:?}");
            return Err(self.bad_tensor(name, problem));
        }
        let bytes = match &tensor.data {
            TensorData::Made(bytes) => Some(bytes.as_slice()),
            TensorData::Pooled(bytes) => self.pool.get(..*bytes),
            TensorData::Mapped { file, bytes } => {
                let map = self.maps.get(*file).map(|(_, map)| map);
                map.and_then(|map| map.bytes(bytes.clone()))
            }
        };
        let bytes = bytes.ok_or_else(|| self.bad_tensor(name, "its data lies outside the file"))?;
        Ok(RawTensor {
            dtype: tensor.dtype,
            bytes,
        })
    }

    /// Gives the memory of a tensor's mapped pages back; they are read again if they are needed.
    pub(crate) fn release(&self, name: &str) {
        let Some(tensor) = self.tensors.get(name) else {
            return;
        };
        let TensorData::Mapped { file, bytes } = &tensor.data else {
            return;
        };
        if let Some((_, map)) = self.maps.get(*file)
            && let Err(error) = map.release(bytes.clone())
        {
            // Memory that is given back late is no failure.
            tracing::debug!(%error, "mapped pages were not released");
        }
    }

    #[cfg(test)]
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.metadata.insert(key.to_owned(), value);
    }
}
