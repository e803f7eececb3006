//! The tensors of an adapter's file, brought together to pairs and checked.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use longtrainer_kernels::DenseFormat;

use super::low_rank::{Factor, LowRank};
use super::target::Target;
use crate::{Error, Result};

/// Which of the two narrow matrices a tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    A,
    B,
}

/// The pairs of a file as they come together.
pub(super) struct Collected<'path> {
    path: &'path Path,
    halves: BTreeMap<Target, (Option<Factor>, Option<Factor>)>,
}

impl<'path> Collected<'path> {
    pub(super) fn new(path: &'path Path) -> Self {
        Self {
            path,
            halves: BTreeMap::new(),
        }
    }

    /// Takes a half, which has two dimensions, at least one value, and finite ones.
    pub(super) fn add(
        &mut self,
        target: Target,
        half: Half,
        tensor: &str,
        values: &Tensor,
        format: DenseFormat,
    ) -> Result<()> {
        let bad = |problem: &str| bad_tensor(self.path, tensor, problem);
        let dims = values.dims();
        let &[rows, columns] = dims else {
            return Err(bad(&format!(
                "its shape is {dims:?}, but must have two dimensions"
            )));
        };
        if rows == 0 || columns == 0 {
            return Err(bad(&format!("its shape is {dims:?}: nothing has rank 0")));
        }
        let values = cpu_values(values).map_err(|error| bad(&error.to_string()))?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(bad("it has values that are not finite numbers"));
        }
        let pair = self.halves.entry(target).or_default();
        let place = match half {
            Half::A => &mut pair.0,
            Half::B => &mut pair.1,
        };
        let factor = Factor {
            tensor: tensor.to_owned(),
            rows,
            columns,
            values,
            format,
        };
        match place.replace(factor) {
            None => Ok(()),
            Some(other) => Err(bad(&format!("{} is for the same matrix", other.tensor))),
        }
    }

    /// The pairs, if all are whole; `scale` is asked for that of a target and its rank.
    pub(super) fn finish(
        self,
        scale: impl Fn(&Factor) -> Result<f32>,
    ) -> Result<BTreeMap<Target, LowRank>> {
        let path = self.path;
        if self.halves.is_empty() {
            let problem = "it has no low-rank pairs".to_owned();
            return Err(Error::BadModel {
                path: path.to_owned(),
                problem,
            });
        }
        let pairs = self.halves.into_iter().map(|(target, halves)| {
            let (a, b) = both(path, halves)?;
            if a.rows != b.columns {
                let shape = [b.rows, b.columns];
                let problem = format!(
                    "its shape is {shape:?}, but {} has rank {}",
                    a.tensor, a.rows
                );
                return Err(bad_tensor(path, &b.tensor, &problem));
            }
            let scale = scale(&a)?;
            Ok((target, LowRank { a, b, scale }))
        });
        pairs.collect()
    }
}

fn both(path: &Path, halves: (Option<Factor>, Option<Factor>)) -> Result<(Factor, Factor)> {
    match halves {
        (Some(a), Some(b)) => Ok((a, b)),
        (Some(half), None) | (None, Some(half)) => {
            let problem = "its other half is missing";
            Err(bad_tensor(path, &half.tensor, problem))
        }
        (None, None) => Err(Error::BadModel {
            path: path.to_owned(),
            problem: "it has a pair without halves".to_owned(),
        }),
    }
}

/// The values of a tensor in main memory, row after row.
fn cpu_values(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let range = layout.contiguous_offsets();
    match (&*storage, range) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
            Ok(values[start..end].to_vec())
        }
        _ => candle_core::bail!("the values are not f32 on the CPU"),
    }
}

pub(super) fn bad_tensor(path: &Path, tensor: &str, problem: &str) -> Error {
    Error::BadTensor {
        path: path.to_owned(),
        tensor: tensor.to_owned(),
        problem: problem.to_owned(),
    }
}
