//! Reading the tensors of a decoder and putting them into the form in which they are used.
//!
//! On the CPU everything becomes f32: Candle's product of a Q4_1 matrix is scalar (3 tokens a second
//! with the default model), its f32 product is bound by memory. On a graphics card matrices stay
//! quantised, where Candle has kernels for them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use candle_core::quantized::QMatMul;
use candle_core::{CpuStorage, Device, Storage, Tensor};

use super::projection::Projection;
use crate::Result;
use crate::gguf::GgufFile;

/// The tensors of a file, and which of them were used.
#[derive(Debug)]
pub(super) struct Weights<'file> {
    file: &'file GgufFile,
    device: &'file Device,
    used: Mutex<HashSet<String>>,
}

impl<'file> Weights<'file> {
    /// Nothing used yet.
    pub(super) fn new(file: &'file GgufFile, device: &'file Device) -> Self {
        Self {
            file,
            device,
            used: Mutex::default(),
        }
    }

    /// Where tensors go.
    pub(super) fn device(&self) -> &Device {
        self.device
    }

    /// Whether matrices stay as the file has them.
    pub(super) fn keeps_quantised(&self) -> bool {
        !self.device.is_cpu()
    }

    /// Whether the file has a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.file.tensor_dims(name).is_some()
    }

    /// A tensor as f32, checked to be finite.
    pub(super) fn dense(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        self.mark_used(name);
        let values = self.finite(name, dims)?;
        values
            .to_device(self.device)
            .map_err(|error| self.failed(name, &error))
    }

    /// Linear maps of one input, each with a bias if the file has one, joined to one product:
    /// `parts` are names without `.weight` and widths of outputs.
    pub(super) fn projection(&self, parts: &[(&str, usize)], inputs: usize) -> Result<Projection> {
        let bias = self.joined_bias(parts)?;
        if self.keeps_quantised() {
            let matrices = parts.iter().map(|(name, outputs)| {
                self.quantised(&format!("{name}.weight"), &[*outputs, inputs])
            });
            return Ok(Projection::quantised(
                matrices.collect::<Result<_>>()?,
                bias,
            ));
        }
        let matrices = parts
            .iter()
            .map(|(name, outputs)| self.dense(&format!("{name}.weight"), &[*outputs, inputs]));
        let matrices = matrices.collect::<Result<Vec<Tensor>>>()?;
        let first = parts.first().map_or("", |(name, _)| name);
        Projection::dense(&matrices, bias).map_err(|error| self.failed(first, &error))
    }

    /// The logits' map of a model that uses its embedding (vocabulary, hidden) for it.
    pub(super) fn tied_projection(&self, embedding: &Tensor) -> Result<Projection> {
        let projection = Projection::dense(std::slice::from_ref(embedding), None);
        projection.map_err(|error| self.failed("token_embd.weight", &error))
    }

    /// Complains about a tensor that no part of the decoder asked for.
    pub(super) fn check_all_used(&self) -> Result<()> {
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

    fn quantised(&self, name: &str, dims: &[usize]) -> Result<QMatMul> {
        self.mark_used(name);
        self.finite(name, dims)?;
        let tensor = self.file.tensor(name, dims, self.device)?;
        QMatMul::from_qtensor(tensor).map_err(|error| self.failed(name, &error))
    }

    fn joined_bias(&self, parts: &[(&str, usize)]) -> Result<Option<Tensor>> {
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
        let first = parts.first().map_or("", |(name, _)| name);
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
        let tensor = self.file.tensor(name, dims, &Device::Cpu)?;
        let values = tensor
            .dequantize(&Device::Cpu)
            .map_err(|error| self.failed(name, &error))?;
        let is_finite = all_finite(&values).map_err(|error| self.failed(name, &error))?;
        if !is_finite {
            return Err(self
                .file
                .bad_tensor(name, "it has values that are not finite numbers"));
        }
        Ok(values)
    }

    fn mark_used(&self, name: &str) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(name.to_owned());
    }

    fn failed(&self, name: &str, error: &candle_core::Error) -> crate::Error {
        self.file.bad_tensor(name, error.to_string())
    }
}

fn all_finite(values: &Tensor) -> candle_core::Result<bool> {
    let (storage, _) = values.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Ok(values.iter().all(|value| value.is_finite())),
        _ => candle_core::bail!("the values are not f32 on the CPU"),
    }
}
