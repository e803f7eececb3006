//! Adapters as llama.cpp has them: a GGUF file with a pair of tensors a matrix.

use std::path::Path;

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use longtrainer_kernels::DenseFormat;

use super::Contents;
use super::collect::{Collected, Half, bad_tensor};
use super::target::{SUPPORTED, Target};
use crate::Result;
use crate::decoder::rotary_layout;
use crate::model_file::ModelFile;

const ALPHA: &str = "adapter.lora.alpha";
const INVOCATION: &str = "adapter.alora.invocation_tokens";

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Contents> {
    let file = ModelFile::open(path)?;
    check_kind(&file)?;
    let architecture = file.required_string("general.architecture")?;
    let layout = rotary_layout(&file, architecture)?;
    // What llama.cpp does without a number: the product as it is.
    let alpha = file.float(ALPHA)?.filter(|alpha| *alpha != 0.0);
    let mut collected = Collected::new(path);
    for name in file.tensor_names() {
        add(&mut collected, &file, path, name)?;
    }
    Ok(Contents {
        pairs: collected.finish(|a| Ok(alpha.map_or(1.0, |alpha| alpha / a.rows as f32)))?,
        layout,
        architecture: Some(architecture.to_owned()),
    })
}

fn check_kind(file: &ModelFile) -> Result<()> {
    for (key, wanted) in [("general.type", "adapter"), ("adapter.type", "lora")] {
        let found = file.string(key)?.unwrap_or("none");
        if found != wanted {
            return Err(file.bad(format!("{key} is {found:?}, but must be {wanted:?}")));
        }
    }
    if file.is_list(INVOCATION) {
        let found = "one that is applied from certain tokens on";
        return Err(file.unsupported("adapter", found, "adapters of whole texts"));
    }
    Ok(())
}

fn add(collected: &mut Collected<'_>, file: &ModelFile, path: &Path, name: &str) -> Result<()> {
    let halves = [(".lora_a", Half::A), (".lora_b", Half::B)];
    let mut halves = halves.into_iter();
    let named = halves.find_map(|(end, half)| Some((name.strip_suffix(end)?, half)));
    let target = named.and_then(|(name, half)| Some((Target::from_gguf(name)?, half)));
    let Some((target, half)) = target else {
        return Err(bad_tensor(path, name, SUPPORTED));
    };
    let dims = file.tensor_dims(name).unwrap_or_default();
    let tensor = file.tensor(name, dims)?;
    let values = tensor.dequantize(&Device::Cpu);
    let values = values.map_err(|error| file.bad_tensor(name, error.to_string()))?;
    collected.add(target, half, name, &values, format(tensor.dtype()))
}

fn format(dtype: GgmlDType) -> DenseFormat {
    match dtype {
        GgmlDType::F16 => DenseFormat::F16,
        GgmlDType::BF16 => DenseFormat::Bf16,
        _ => DenseFormat::F32,
    }
}
