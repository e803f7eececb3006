//! Writing the files of a made-up folder.

use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::random;
use crate::{Error, Result};

/// A tensor of f32 before it is written.
pub(super) struct Made {
    name: String,
    dims: Vec<usize>,
    bytes: Vec<u8>,
}

impl Made {
    /// Weights of a map, or rows of a table.
    pub(super) fn matrix(name: &str, rows: usize, columns: usize) -> Self {
        Self::random(name.to_owned(), vec![rows, columns])
    }

    /// Random values of a size that suits maps whose inputs are all dimensions but the first.
    pub(super) fn random(name: String, dims: Vec<usize>) -> Self {
        let inputs: usize = dims.iter().skip(1).product();
        let values = random::values(dims.iter().product(), random::size_for(inputs));
        Self {
            name,
            dims,
            bytes: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        }
    }

    /// The same value everywhere.
    pub(super) fn of(name: String, dims: Vec<usize>, value: f32) -> Self {
        let count: usize = dims.iter().product();
        Self {
            name,
            dims,
            bytes: value.to_le_bytes().repeat(count),
        }
    }
}

/// Writes a file of JSON.
pub(super) fn write_json(path: &Path, value: &serde_json::Value) -> Result<()> {
    std::fs::write(path, value.to_string()).map_err(|source| failed(path, source))
}

/// Writes a file of tensors.
pub(super) fn write_tensors(path: &Path, tensors: &[Made]) -> Result<()> {
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(Dtype::F32, tensor.dims.clone(), &tensor.bytes);
        view.map(|view| (tensor.name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>();
    let written = views.and_then(|views| safetensors::serialize_to_file(views, None, path));
    written.map_err(|error| failed(path, std::io::Error::other(error)))
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}
