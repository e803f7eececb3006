//! The tensors of a folder under the names of GGUF.

use std::collections::HashMap;

use candle_core::quantized::GgmlDType;
use safetensors::tensor::{Dtype, TensorInfo};

use super::config::Translated;
use super::names::Named;
use super::shards::Shard;
use crate::model_file::{StoredTensor, TensorData};
use crate::{Error, Result};

const EMBEDDING: &str = "token_embd.weight";
const HEAD: &str = "output.weight";

/// All tensors of the text model; those that nobody knows keep their names, so that they are complained
/// about when the model is built.
pub(super) fn translate(
    config: &Translated,
    shards: &[Shard],
) -> Result<HashMap<String, StoredTensor>> {
    let mut tensors = HashMap::new();
    for (number, shard) in shards.iter().enumerate() {
        for (name, info) in shard.tensors.tensors() {
            let key = match config.names.of(&name) {
                Named::Ignored => continue,
                Named::Text(key) => key,
                Named::Unknown => name.clone(),
            };
            let tensor = stored(config, number, shard, name.clone(), info)?;
            if tensors.insert(key, tensor).is_some() {
                return Err(bad(shard, &name, "it is there twice"));
            }
        }
    }
    for (name, factors) in &config.factors {
        tensors.insert((*name).to_owned(), made((*name).to_owned(), factors));
    }
    check(config, shards, &tensors)?;
    Ok(tensors)
}

fn stored(
    config: &Translated,
    number: usize,
    shard: &Shard,
    name: String,
    info: &TensorInfo,
) -> Result<StoredTensor> {
    let dtype = match info.dtype {
        Dtype::F32 => GgmlDType::F32,
        Dtype::F16 => GgmlDType::F16,
        Dtype::BF16 => GgmlDType::BF16,
        other => {
            let problem =
                format!("its type {other:?} is not supported; supported are F32, F16, BF16");
            return Err(bad(shard, &name, &problem));
        }
    };
    let (start, end) = info.data_offsets;
    let bytes = shard.data + start as u64..shard.data + end as u64;
    if config.norms_are_offsets && name.ends_with("norm.weight") {
        let bytes = shard.map.bytes(bytes);
        let bytes = bytes.ok_or_else(|| bad(shard, &name, "its data lies outside the file"))?;
        let scales: Vec<f32> = values(info.dtype, bytes).map(|value| value + 1.0).collect();
        return Ok(StoredTensor {
            dims: info.shape.clone(),
            ..made(name, &scales)
        });
    }
    Ok(StoredTensor {
        name,
        dims: info.shape.clone(),
        dtype,
        data: TensorData::Mapped {
            file: number,
            bytes,
        },
    })
}

/// A vector that was computed.
fn made(name: String, values: &[f32]) -> StoredTensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    StoredTensor {
        name,
        dims: vec![values.len()],
        dtype: GgmlDType::F32,
        data: TensorData::Made(bytes.collect()),
    }
}

/// The values of a tensor, which is of a type that is supported.
fn values(dtype: Dtype, bytes: &[u8]) -> Box<dyn Iterator<Item = f32> + '_> {
    let halves = bytes.chunks_exact(2).map(|half| [half[0], half[1]]);
    match dtype {
        Dtype::BF16 => Box::new(halves.map(|half| half::bf16::from_le_bytes(half).to_f32())),
        Dtype::F16 => Box::new(halves.map(|half| half::f16::from_le_bytes(half).to_f32())),
        _ => {
            let words = bytes.chunks_exact(4);
            Box::new(words.map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])))
        }
    }
}

/// What only configuration and tensors together tell: that the vocabulary has its size, and whether the
/// logits have a matrix of their own.
fn check(
    config: &Translated,
    shards: &[Shard],
    tensors: &HashMap<String, StoredTensor>,
) -> Result<()> {
    let Some(shard) = shards.first() else {
        return Ok(());
    };
    let Some(embedding) = tensors.get(EMBEDDING) else {
        let name = config.names.published(EMBEDDING);
        return Err(bad(shard, &name, "it is missing"));
    };
    if let Some((field, size)) = &config.vocabulary
        && embedding
            .dims
            .first()
            .is_none_or(|rows| *rows as u64 != *size)
    {
        let problem = format!("its shape is {:?}, but {field} is {size}", embedding.dims);
        let shard = match &embedding.data {
            TensorData::Mapped { file, .. } => shards.get(*file).unwrap_or(shard),
            TensorData::Made(_) | TensorData::Pooled(_) => shard,
        };
        return Err(bad(shard, &embedding.name, &problem));
    }
    if !tensors.contains_key(HEAD) && !config.is_tied {
        let problem = "it is missing, and tie_word_embeddings is not true";
        return Err(bad(shard, "lm_head.weight", problem));
    }
    Ok(())
}

fn bad(shard: &Shard, tensor: &str, problem: &str) -> Error {
    Error::BadTensor {
        path: shard.path.clone(),
        tensor: tensor.to_owned(),
        problem: problem.to_owned(),
    }
}
