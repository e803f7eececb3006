//! A GGUF file: checked once when it is opened, then read by name.
//!
//! Candle reads the format; [`check`] walks the header before it, because an error should name the
//! tensor or the key, and because a hostile header must not reach arithmetic that trusts it.

mod check;
mod kind;

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;

use candle_core::quantized::gguf_file::{Content, TensorInfo};
use longtrainer_kernels::MappedFile;

use crate::model_file::{ModelFile, StoredTensor, TensorData};
use crate::{Error, Result};

pub use kind::GgufKind;

/// Opens a file and checks that every tensor lies inside it.
pub(crate) fn open(path: &Path) -> Result<ModelFile> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(bad(path, "it is not a file"));
    }
    let mut reader = BufReader::new(file);
    check::header(path, &mut reader, metadata.len())?;
    reader.rewind().map_err(failed)?;
    let content = Content::read(&mut reader).map_err(|error| bad(path, error.to_string()))?;
    let map = MappedFile::new(reader.get_ref()).map_err(failed)?;
    let start = content.tensor_data_offset;
    let tensors = content.tensor_infos.into_iter();
    let tensors = tensors.map(|(name, info)| (name.clone(), stored(name, &info, start)));
    let tensors = tensors.collect();
    Ok(ModelFile::new(path, content.metadata, tensors, map))
}

/// A tensor whose data is at an offset from `start`.
fn stored(name: String, info: &TensorInfo, start: u64) -> StoredTensor {
    let dtype = info.ggml_dtype;
    let blocks = info.shape.elem_count() / dtype.block_size();
    let start = start + info.offset;
    StoredTensor {
        name,
        dims: info.shape.dims().to_vec(),
        dtype,
        data: TensorData::Mapped {
            file: 0,
            bytes: start..start + (blocks * dtype.type_size()) as u64,
        },
    }
}

fn bad(path: &Path, problem: impl Into<String>) -> Error {
    Error::BadModel {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

fn bad_tensor(path: &Path, tensor: &str, problem: impl Into<String>) -> Error {
    Error::BadTensor {
        path: path.to_owned(),
        tensor: tensor.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests;
