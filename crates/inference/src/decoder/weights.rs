//! Reading the tensors of a decoder and putting them into the form in which they are used.
//!
//! For our kernels, matrices are repacked as they are ([`Weights::matrix`]). For Candle on the CPU
//! everything becomes f32, which its products are best at; on a graphics card quantised matrices stay
//! so, where Candle has kernels for them, and others get the type of the states.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use longtrainer_kernels::{BlockFormat, DenseFormat, DenseMatrix, Matrix, QuantisedMatrix, Team};

use super::compute::Compute;
use super::projection::Projection;
use crate::Result;
use crate::model_file::{ModelFile, RawTensor};

/// Weights that share a scale when a matrix is rounded.
const BLOCK: usize = 32;

/// The tensors of a file, and which of them were used.
#[derive(Debug)]
pub(crate) struct Weights<'file> {
    file: &'file ModelFile,
    device: &'file Device,
    /// What matrices are kept in.
    compute: Compute,
    used: Mutex<HashSet<String>>,
}

impl<'file> Weights<'file> {
    /// Nothing used yet.
    pub(crate) fn new(file: &'file ModelFile, device: &'file Device) -> Self {
        Self {
            file,
            device,
            compute: Compute::F32,
            used: Mutex::default(),
        }
    }

    /// The same, with matrices kept in this way.
    pub(super) fn computing_in(self, compute: Compute) -> Self {
        Self { compute, ..self }
    }

    /// Where tensors go.
    pub(super) fn device(&self) -> &Device {
        self.device
    }

    /// Whether a matrix stays in the blocks that the file has it in: on a card, which multiplies them.
    pub(super) fn keeps_quantised(&self, name: &str) -> bool {
        let dtype = self.file.tensor_dtype(name);
        self.compute.keeps_blocks && dtype.is_some_and(|dtype| dtype.block_size() > 1)
    }

    /// Whether the file has a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.tensor_dims(name).is_some()
    }

    /// A tensor in the type of the states, checked to be finite.
    pub(super) fn dense(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        self.dense_as(name, dims, self.compute.states)
    }

    /// A tensor in this type, checked to be finite.
    pub(super) fn dense_as(&self, name: &str, dims: &[usize], dtype: DType) -> Result<Tensor> {
        let values = self.on_processor(name, dims, dtype)?;
        let placed = values.to_device(self.device);
        placed.map_err(|error| self.failed(name, &error))
    }

    fn on_processor(&self, name: &str, dims: &[usize], dtype: DType) -> Result<Tensor> {
        self.mark_used(name);
        let values = self.finite(name, dims)?.to_dtype(dtype);
        values.map_err(|error| self.failed(name, &error))
    }

    /// Linear maps of one input, each with a bias if the file has one, joined to one product:
    /// `parts` are names without `.weight` and widths of outputs.
    pub(super) fn projection(
        &self,
        parts: &[(String, usize)],
        inputs: usize,
    ) -> Result<Projection> {
        let bias = self.joined_bias(parts)?;
        let is_kept = |(name, _): &(String, usize)| self.keeps_quantised(&format!("{name}.weight"));
        if parts.iter().any(is_kept) {
            return Ok(Projection::quantised(self.quantised(parts, inputs)?, bias));
        }
        let matrices = parts.iter().map(|(name, outputs)| {
            let name = format!("{name}.weight");
            self.on_processor(&name, &[*outputs, inputs], self.compute.states)
        });
        let matrices = matrices.collect::<Result<Vec<Tensor>>>()?;
        let first = parts.first().map_or("", |(name, _)| name.as_str());
        // Joined before they go to a card, which needs no room for both then.
        let joined = below_each_other(&matrices).and_then(|joined| joined.to_device(self.device));
        let projection = joined.and_then(|joined| Projection::dense(joined, bias));
        projection.map_err(|error| self.failed(first, &error))
    }

    /// The logits' map of a model that uses its embedding (vocabulary, hidden) for it.
    pub(super) fn tied_projection(&self, embedding: &Tensor) -> Result<Projection> {
        let matrix = embedding.to_dtype(self.compute.states);
        let projection = matrix.and_then(|matrix| Projection::dense(matrix, None));
        projection.map_err(|error| self.failed("token_embd.weight", &error))
    }

    /// Complains about a tensor that no part of the decoder asked for.
    pub(crate) fn check_all_used(&self) -> Result<()> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unused: Vec<&str> = self
            .file
            .tensor_names()
            .filter(|name| !used.contains(*name))
            .collect();
        unused.sort_unstable();
        match unused.first() {
            None => Ok(()),
            Some(name) => Err(self.file.bad_tensor(
                name,
                format!(
                    "no model of this architecture has it ({} such tensors)",
                    unused.len()
                ),
            )),
        }
    }

    /// A matrix for our kernels, repacked on the threads of the team. The file's own bytes are let
    /// go of at once.
    pub(crate) fn matrix(
        &self,
        team: &Team,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Matrix> {
        self.mark_used(name);
        let raw = self.file.raw_tensor(name, &[rows, columns])?;
        let packed = match kernel_format(raw.dtype) {
            Some(KernelFormat::Block(format)) => {
                QuantisedMatrix::pack(team, format, raw.bytes, rows, columns).map(Matrix::from)
            }
            Some(KernelFormat::Dense(_)) if self.rounds(columns) => {
                let values = self.finite(name, &[rows, columns])?.flatten_all();
                let values = values.and_then(|values| values.to_vec1::<f32>());
                let values = values.map_err(|error| self.failed(name, &error))?;
                QuantisedMatrix::round(team, &values, rows, columns).map(Matrix::from)
            }
            Some(KernelFormat::Dense(format)) => {
                DenseMatrix::pack(team, format, raw.bytes, rows, columns).map(Matrix::from)
            }
            None => {
                let problem = format!("no kernel multiplies weights of type {:?}", raw.dtype);
                return Err(self.file.bad_tensor(name, problem));
            }
        };
        self.file.release(name);
        match packed {
            Ok(Matrix::Dense(matrix)) if !matrix.all_finite() => Err(self.not_finite(name)),
            Ok(matrix) => Ok(matrix),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// Whether a dense matrix is rounded to bytes: where it was asked for, and rows are whole blocks.
    fn rounds(&self, columns: usize) -> bool {
        self.file.rounds_weights() && columns.is_multiple_of(BLOCK)
    }

    /// A vector, checked to be finite.
    pub(crate) fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>> {
        self.mark_used(name);
        let values = self.finite(name, &[length])?;
        values.to_vec1().map_err(|error| self.failed(name, &error))
    }

    /// The biases of linear maps of one input, one after another, if the file has them.
    pub(crate) fn joined_bias_values(&self, parts: &[(String, usize)]) -> Result<Option<Vec<f32>>> {
        let Some(bias) = self.joined_bias(parts)? else {
            return Ok(None);
        };
        let first = parts.first().map_or("", |(name, _)| name.as_str());
        let values = bias.to_vec1().map_err(|error| self.failed(first, &error))?;
        Ok(Some(values))
    }

    /// Matrices in the blocks of the file: (outputs, inputs) each, neighbours of one type as one matrix.
    fn quantised(&self, parts: &[(String, usize)], inputs: usize) -> Result<Vec<QMatMul>> {
        let raw = parts.iter().map(|(name, outputs)| {
            let (name, dims) = (format!("{name}.weight"), [*outputs, inputs]);
            self.mark_used(&name);
            self.finite(&name, &dims)?;
            let raw = self.file.raw_tensor(&name, &dims)?;
            Ok((name, raw))
        });
        let raw = raw.collect::<Result<Vec<(String, RawTensor<'_>)>>>()?;
        let runs = raw.chunk_by(|(_, one), (_, next)| one.dtype == next.dtype);
        let joined = runs.map(|run| {
            let first = run.first().map_or("", |(name, _)| name.as_str());
            let run: Vec<&RawTensor<'_>> = run.iter().map(|(_, raw)| raw).collect();
            joined_blocks(&run, inputs, self.device).map_err(|error| self.failed(first, &error))
        });
        joined.collect()
    }

    fn joined_bias(&self, parts: &[(String, usize)]) -> Result<Option<Tensor>> {
        let mut biases = Vec::new();
        for (name, outputs) in parts {
            let name = format!("{name}.bias");
            if self.has(&name) {
                biases.push(self.dense(&name, &[*outputs])?);
            }
        }
        if biases.is_empty() {
            return Ok(None);
        }
        let first = parts.first().map_or("", |(name, _)| name.as_str());
        if biases.len() != parts.len() {
            return Err(self
                .file
                .bad_tensor(first, "some of its neighbours have a bias, some not"));
        }
        Tensor::cat(&biases, 0)
            .map(Some)
            .map_err(|error| self.failed(first, &error))
    }

    /// The values on the CPU. One value that is not a number would silence every answer.
    fn finite(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        let tensor = self.file.tensor(name, dims)?;
        let values = tensor
            .dequantize(&Device::Cpu)
            .map_err(|error| self.failed(name, &error))?;
        let is_finite = all_finite(&values).map_err(|error| self.failed(name, &error))?;
        if !is_finite {
            return Err(self.not_finite(name));
        }
        Ok(values)
    }

    fn not_finite(&self, name: &str) -> crate::Error {
        let problem = "it has values that are not finite numbers";
        self.file.bad_tensor(name, problem)
    }

    fn mark_used(&self, name: &str) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(name.to_owned());
    }

    /// An error about a tensor, in words.
    pub(super) fn bad(&self, name: &str, problem: &str) -> crate::Error {
        self.file.bad_tensor(name, problem)
    }

    /// An error about a tensor.
    pub(crate) fn failed(&self, name: &str, error: &dyn std::error::Error) -> crate::Error {
        self.file.bad_tensor(name, error.to_string())
    }
}

/// How the kernels call a type of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KernelFormat {
    Block(BlockFormat),
    Dense(DenseFormat),
}

/// The kernels' name of a type of weights; `None` where they have no product for it.
pub(crate) fn kernel_format(dtype: GgmlDType) -> Option<KernelFormat> {
    match dtype {
        GgmlDType::Q4_0 => Some(KernelFormat::Block(BlockFormat::Q4_0)),
        GgmlDType::Q4_1 => Some(KernelFormat::Block(BlockFormat::Q4_1)),
        GgmlDType::Q5_0 => Some(KernelFormat::Block(BlockFormat::Q5_0)),
        GgmlDType::Q5_1 => Some(KernelFormat::Block(BlockFormat::Q5_1)),
        GgmlDType::Q8_0 => Some(KernelFormat::Block(BlockFormat::Q8_0)),
        GgmlDType::Q4K => Some(KernelFormat::Block(BlockFormat::Q4_K)),
        GgmlDType::Q5K => Some(KernelFormat::Block(BlockFormat::Q5_K)),
        GgmlDType::Q6K => Some(KernelFormat::Block(BlockFormat::Q6_K)),
        GgmlDType::F32 => Some(KernelFormat::Dense(DenseFormat::F32)),
        GgmlDType::F16 => Some(KernelFormat::Dense(DenseFormat::F16)),
        GgmlDType::BF16 => Some(KernelFormat::Dense(DenseFormat::Bf16)),
        _ => None,
    }
}

fn below_each_other(matrices: &[Tensor]) -> candle_core::Result<Tensor> {
    match matrices {
        [single] => Ok(single.clone()),
        several => Tensor::cat(several, 0),
    }
}

/// Matrices of one type, one below the other: rows are whole blocks, so their bytes follow each other.
fn joined_blocks(
    matrices: &[&RawTensor<'_>],
    inputs: usize,
    device: &Device,
) -> candle_core::Result<QMatMul> {
    let Some(dtype) = matrices.first().map(|matrix| matrix.dtype) else {
        candle_core::bail!("no matrix to join");
    };
    let bytes: Vec<&[u8]> = matrices.iter().map(|matrix| matrix.bytes).collect();
    let bytes = bytes.concat();
    let row_bytes = inputs / dtype.block_size() * dtype.type_size();
    let outputs = bytes.len() / row_bytes.max(1);
    let storage = QStorage::from_data(Cow::Owned(bytes), device, dtype)?;
    QMatMul::from_qtensor(QTensor::new(storage, (outputs, inputs))?)
}

fn all_finite(values: &Tensor) -> candle_core::Result<bool> {
    let (storage, _) = values.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Ok(values.iter().all(|value| value.is_finite())),
        _ => candle_core::bail!("the values are not f32 on the CPU"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Module;

    use super::*;

    #[test]
    fn matrices_of_one_type_multiply_as_one() {
        let device = Device::Cpu;
        let quantised = |outputs: usize| {
            let values = Tensor::rand(-1f32, 1.0, (outputs, 64), &device).unwrap();
            QTensor::quantize(&values, GgmlDType::Q4_1).unwrap()
        };
        let matrices = [quantised(5), quantised(3)];
        let bytes = matrices.each_ref().map(|matrix| matrix.data().unwrap());
        let raw = bytes.each_ref().map(|bytes| RawTensor {
            dtype: GgmlDType::Q4_1,
            bytes,
        });
        let joined = joined_blocks(&raw.each_ref(), 64, &device).unwrap();
        let rows = Tensor::rand(-1f32, 1.0, (2, 64), &device).unwrap();
        let each = matrices.map(|matrix| {
            let matrix = QMatMul::from_qtensor(matrix).unwrap();
            matrix.forward(&rows).unwrap()
        });
        let expected = Tensor::cat(&each, 1).unwrap().to_vec2::<f32>().unwrap();
        let found = joined.forward(&rows).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(found, expected);
    }
}
