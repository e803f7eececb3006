//! Tensors of a safetensors file, checked as they are taken out.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};

use super::folder::ModelFolder;
use crate::tensor_blocks::WeightSource;
use crate::{Error, Result};

/// A file, whose tensors are copied out one at a time.
pub(super) struct Weights {
    path: PathBuf,
    file: BufferedSafetensors,
    /// Names in the file, by those without the prefix that some files put before every name.
    names: HashMap<String, String>,
}

const PREFIXES: [&str; 3] = ["bert.", "roberta.", "0.auto_model."];

impl Weights {
    /// Reads `model.safetensors`.
    pub(super) fn read(folder: &ModelFolder) -> Result<Self> {
        let path = folder.file("model.safetensors");
        let bytes = folder.read("model.safetensors")?;
        let file = BufferedSafetensors::new(bytes).map_err(|error| Error::BadModel {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        let names = file.tensors().into_iter().map(|(name, _)| {
            let short = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
            (short.unwrap_or(&name).to_owned(), name)
        });
        Ok(Self {
            path,
            names: names.collect(),
            file,
        })
    }

    /// A tensor as f32, checked to have this shape and to be finite.
    fn take(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        let Some(full_name) = self.names.get(name) else {
            return Err(self.bad(name, "it is missing".to_owned()));
        };
        let failed = |error: candle_core::Error| self.bad(name, error.to_string());
        let tensor = self.file.load(full_name, &Device::Cpu).map_err(failed)?;
        if tensor.dims() != dims {
            let problem = format!("its shape is {:?}, but must be {dims:?}", tensor.dims());
            return Err(self.bad(name, problem));
        }
        let tensor = tensor.to_dtype(DType::F32).map_err(failed)?;
        if !is_finite(&tensor) {
            return Err(self.bad(name, "it has values that are not finite numbers".to_owned()));
        }
        Ok(tensor)
    }
}

impl WeightSource for Weights {
    fn values(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>> {
        let values = self.take(name, dims)?.flatten_all();
        let values = values.and_then(|values| values.to_vec1());
        values.map_err(|error| self.bad(name, error.to_string()))
    }

    fn bad(&self, name: &str, problem: String) -> Error {
        Error::BadTensor {
            path: self.path.clone(),
            tensor: name.to_owned(),
            problem,
        }
    }
}

fn is_finite(tensor: &Tensor) -> bool {
    let (storage, _) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => values.iter().all(|value| value.is_finite()),
        _ => false,
    }
}
