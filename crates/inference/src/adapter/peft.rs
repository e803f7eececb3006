//! Adapters as PEFT writes them: a safetensors file, and `adapter_config.json` beside it.

use std::fs;
use std::path::Path;

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{DType, Device, Tensor};
use longtrainer_kernels::{DenseFormat, RotaryLayout};

use super::Contents;
use super::collect::{Collected, Half, bad_tensor};
use super::peft_config::PeftConfig;
use super::target::{SUPPORTED, Target};
use crate::{Error, Result};

/// The file of the tensors.
pub(super) const TENSORS: &str = "adapter_model.safetensors";
const CONFIG: &str = "adapter_config.json";
const PREFIX: &str = "base_model.model.";

/// Reads a file of tensors and the configuration in the same folder.
pub(super) fn read(path: &Path) -> Result<Contents> {
    let config = PeftConfig::read(&path.with_file_name(CONFIG))?;
    let bytes = fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let file = BufferedSafetensors::new(bytes).map_err(|error| Error::BadModel {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    let mut names: Vec<String> = file.tensors().into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    let mut collected = Collected::new(path);
    for name in &names {
        add(&mut collected, &file, path, name)?;
    }
    let scale = |module: &str, a: &super::low_rank::Factor| {
        let rank = config.rank(module);
        match rank == a.rows {
            true => Ok(config.scale(module)),
            false => {
                let shape = [a.rows, a.columns];
                let problem = format!("its shape is {shape:?}, but {CONFIG} says rank {rank}");
                Err(bad_tensor(path, &a.tensor, &problem))
            }
        }
    };
    Ok(Contents {
        pairs: collected.finish(|a| {
            let module = module(&a.tensor).map_or("", |(module, _)| module);
            scale(module, a)
        })?,
        layout: RotaryLayout::Halves,
        architecture: None,
    })
}

/// The module that a tensor belongs to, and which half it is.
fn module(name: &str) -> Option<(&str, Half)> {
    let name = name.strip_prefix(PREFIX)?;
    let a = name.strip_suffix(".lora_A.weight");
    let b = || name.strip_suffix(".lora_B.weight");
    let a = a.map(|module| (module, Half::A));
    a.or_else(|| b().map(|module| (module, Half::B)))
}

fn add(
    collected: &mut Collected<'_>,
    file: &BufferedSafetensors,
    path: &Path,
    name: &str,
) -> Result<()> {
    let target = module(name).and_then(|(module, half)| Some((Target::from_peft(module)?, half)));
    let Some((target, half)) = target else {
        return Err(bad_tensor(path, name, SUPPORTED));
    };
    let values = file.load(name, &Device::Cpu);
    let values = values.map_err(|error| bad_tensor(path, name, &error.to_string()))?;
    let Some(format) = format(&values) else {
        let problem = format!("its type {:?} is not f32, f16 or bf16", values.dtype());
        return Err(bad_tensor(path, name, &problem));
    };
    collected.add(target, half, name, &values, format)
}

fn format(tensor: &Tensor) -> Option<DenseFormat> {
    match tensor.dtype() {
        DType::F32 => Some(DenseFormat::F32),
        DType::F16 => Some(DenseFormat::F16),
        DType::BF16 => Some(DenseFormat::Bf16),
        _ => None,
    }
}
