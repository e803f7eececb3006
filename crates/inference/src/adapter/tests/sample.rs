//! Random adapters for the tiny models, as files of either format and merged into the weights.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Tensor};
use serde_json::json;

use crate::tiny::{self, TinyModel};

pub(crate) const ALPHA: f32 = 6.0;

/// A pair for each matrix of a model, in the row order of GGUF files.
pub(crate) struct Sample {
    pub(crate) architecture: &'static str,
    pub(crate) rank: usize,
    pub(crate) pairs: Vec<(String, Tensor, Tensor)>,
}

impl Sample {
    /// Of all matrices of a tiny model that `wanted` names the part of.
    pub(crate) fn of(
        architecture: &'static str,
        rank: usize,
        seed: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Self {
        let model = TinyModel::new(architecture);
        let mut random = TinyModel::empty();
        random.random(&[seed], 1.0);
        let matrices = model.tensors.iter();
        let matrices = matrices.filter(|(name, tensor)| tensor.rank() == 2 && is_in_block(name));
        let matrices = matrices.filter(|(name, _)| wanted(part(name).1));
        let pairs = matrices.map(|(name, tensor)| {
            let (outputs, inputs) = tensor.dims2().unwrap();
            let a = random.random(&[rank, inputs], 0.3);
            (name.clone(), a, random.random(&[outputs, rank], 0.3))
        });
        Self {
            architecture,
            rank,
            pairs: pairs.collect(),
        }
    }

    pub(crate) fn all(architecture: &'static str, rank: usize, seed: usize) -> Self {
        Self::of(architecture, rank, seed, |_| true)
    }

    /// The model with the adapter in its weights.
    pub(crate) fn merged(&self, scale: f32) -> TinyModel {
        let mut model = TinyModel::new(self.architecture);
        let factor = f64::from(scale * ALPHA / self.rank as f32);
        for (name, a, b) in &self.pairs {
            let tensor = model.tensors.iter().find(|(other, _)| other == name);
            let change = (b.matmul(a).unwrap() * factor).unwrap();
            let merged = (&tensor.unwrap().1 + change).unwrap();
            model.set_tensor(name, merged);
        }
        model
    }

    pub(crate) fn gguf_metadata(&self) -> Vec<(&'static str, Value)> {
        let string = |text: &str| Value::String(text.to_owned());
        vec![
            ("general.type", string("adapter")),
            ("adapter.type", string("lora")),
            ("general.architecture", string(self.architecture)),
            ("adapter.lora.alpha", Value::F32(ALPHA)),
        ]
    }

    pub(crate) fn gguf_tensors(&self) -> Vec<(String, Tensor)> {
        let pairs = self.pairs.iter();
        let named = pairs.flat_map(|(name, a, b)| {
            [
                (format!("{name}.lora_a"), a.clone()),
                (format!("{name}.lora_b"), b.clone()),
            ]
        });
        named.collect()
    }

    /// As llama.cpp has it.
    pub(crate) fn write_gguf(&self, path: &Path, dtype: GgmlDType) {
        write_gguf(path, &self.gguf_metadata(), &self.gguf_tensors(), dtype);
    }

    pub(crate) fn peft_config(&self) -> serde_json::Value {
        json!({
            "peft_type": "LORA", "r": self.rank, "lora_alpha": ALPHA, "use_rslora": false,
            "use_dora": false, "rank_pattern": {}, "alpha_pattern": {}, "bias": "none",
            "fan_in_fan_out": false, "init_lora_weights": true, "layer_replication": null,
            "task_type": "CAUSAL_LM", "target_modules": ["q_proj", "v_proj"],
        })
    }

    /// By the names of a model whose blocks `prefix` stands before.
    pub(crate) fn peft_tensors(&self, prefix: &str, dtype: DType) -> HashMap<String, Tensor> {
        let pairs = self.pairs.iter();
        let named = pairs.flat_map(|(name, a, b)| {
            let (block, part) = part(name);
            let module = format!("base_model.model.{prefix}{block}.{}", self.peft_part(part));
            [
                (format!("{module}.lora_A.weight"), a.clone()),
                (format!("{module}.lora_B.weight"), self.in_halves(part, b)),
            ]
        });
        let named = named.map(|(name, tensor)| (name, tensor.to_dtype(dtype).unwrap()));
        named.collect()
    }

    /// As PEFT writes it.
    pub(crate) fn write_peft(&self, folder: &Path) {
        let tensors = self.peft_tensors("model.layers.", DType::F32);
        write_peft(folder, &self.peft_config(), &tensors);
    }

    fn peft_part(&self, part: &str) -> &'static str {
        match part {
            "attn_q" => "self_attn.q_proj",
            "attn_k" => "self_attn.k_proj",
            "attn_v" => "self_attn.v_proj",
            "attn_qkv" => "self_attn.qkv_proj",
            "attn_output" => "self_attn.o_proj",
            "ffn_gate" => "mlp.gate_proj",
            "ffn_up" if self.architecture == "phi3" => "mlp.gate_up_proj",
            "ffn_up" => "mlp.up_proj",
            "ffn_down" => "mlp.down_proj",
            other => panic!("{other}"),
        }
    }

    /// Rows of queries and keys of llama models lie side by side in GGUF files: (heads, pairs, 2) are
    /// (heads, 2, pairs) in transformers.
    fn in_halves(&self, part: &str, b: &Tensor) -> Tensor {
        let heads = match part {
            "attn_q" => tiny::HEADS,
            "attn_k" => tiny::KV_HEADS,
            _ => return b.clone(),
        };
        if self.architecture != "llama" {
            return b.clone();
        }
        let (rows, rank) = b.dims2().unwrap();
        let pairs = b.reshape((heads, rows / heads / 2, 2, rank)).unwrap();
        let halves = pairs.transpose(1, 2).unwrap().contiguous().unwrap();
        halves.reshape((rows, rank)).unwrap()
    }
}

pub(crate) fn write_gguf(
    path: &Path,
    metadata: &[(&str, Value)],
    tensors: &[(String, Tensor)],
    dtype: GgmlDType,
) {
    let quantised: Vec<(&str, QTensor)> = tensors
        .iter()
        .map(|(name, tensor)| {
            // Blocks are 32 values long, and narrow rows may not be.
            let fits = tensor
                .dims()
                .last()
                .unwrap()
                .is_multiple_of(dtype.block_size());
            let dtype = if fits { dtype } else { GgmlDType::F16 };
            (name.as_str(), QTensor::quantize(tensor, dtype).unwrap())
        })
        .collect();
    let tensors: Vec<(&str, &QTensor)> = quantised
        .iter()
        .map(|(name, tensor)| (*name, tensor))
        .collect();
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    gguf_file::write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

pub(crate) fn write_peft(
    folder: &Path,
    config: &serde_json::Value,
    tensors: &HashMap<String, Tensor>,
) {
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    candle_core::safetensors::save(tensors, folder.join("adapter_model.safetensors")).unwrap();
}

fn is_in_block(name: &str) -> bool {
    name.starts_with("blk.")
}

/// Block and part of `blk.N.part.weight`.
fn part(name: &str) -> (&str, &str) {
    let name = name
        .strip_prefix("blk.")
        .unwrap()
        .strip_suffix(".weight")
        .unwrap();
    name.split_once('.').unwrap()
}
