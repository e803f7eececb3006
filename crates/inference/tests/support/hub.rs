//! Tiny models in folders as published on the hub, made from a description that transformers was asked
//! about, too.

use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use serde_json::{Value, json};

/// Written by `scripts/reference/hub_folders.py`.
const REFERENCE: &str = include_str!("../data/hub_folders.json");

#[derive(Deserialize)]
pub(crate) struct Reference {
    pub(crate) chat_template: String,
    pub(crate) tokens_a_frame: usize,
    /// The first sees.
    pub(crate) models: Vec<HubModel>,
    /// With tokens for the parts of a picture, and without.
    pub(crate) prompts: Vec<Prompts>,
}

#[derive(Deserialize, Clone)]
pub(crate) struct HubModel {
    pub(crate) architecture: String,
    pub(crate) config: Value,
    tensors: Vec<Recipe>,
    pub(crate) tokens: Vec<u32>,
    /// After the last of the tokens.
    pub(crate) logits: Vec<f32>,
    pub(crate) greedy: Vec<u32>,
}

/// Name, dimensions, offset, shift and scale.
#[derive(Deserialize, Clone)]
struct Recipe(String, Vec<usize>, f32, u32, f32);

#[derive(Deserialize)]
pub(crate) struct Prompts {
    pub(crate) tokenizer: Value,
    pub(crate) image: u32,
    pub(crate) chats: Vec<Chat>,
}

#[derive(Deserialize)]
pub(crate) struct Chat {
    pub(crate) turns: Vec<ChatTurn>,
    /// Rows and columns of each picture.
    pub(crate) grids: Vec<[usize; 2]>,
    pub(crate) tokens: Vec<u32>,
}

#[derive(Deserialize)]
pub(crate) struct ChatTurn {
    pub(crate) role: String,
    pub(crate) content: String,
    pub(crate) pictures: usize,
}

/// A tensor with its values.
#[derive(Clone)]
pub(crate) struct HubTensor {
    pub(crate) name: String,
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

pub(crate) fn reference() -> Reference {
    serde_json::from_str(REFERENCE).unwrap()
}

impl HubModel {
    /// The weights, which are the same numbers in any of the three types.
    pub(crate) fn tensors(&self) -> Vec<HubTensor> {
        let mut state = 1u64;
        let tensors = self.tensors.iter();
        let tensors = tensors.map(|Recipe(name, dims, offset, shift, scale)| {
            let count: usize = dims.iter().product();
            let values = (0..count).map(|_| {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                let byte = (state >> 56) as u8 as i8;
                offset + f32::from(byte >> shift) * scale
            });
            HubTensor {
                name: name.clone(),
                dims: dims.clone(),
                values: values.collect(),
            }
        });
        tensors.collect()
    }

    /// Writes configuration and weights.
    pub(crate) fn write(&self, folder: &Path, dtype: Dtype) {
        write_json(folder, "config.json", &self.config);
        save(&folder.join("model.safetensors"), &self.tensors(), dtype);
    }
}

impl Reference {
    /// Writes one of the two tokenizers and the chat template.
    pub(crate) fn write_tokenizer(&self, folder: &Path, which: usize) {
        write_json(folder, "tokenizer.json", &self.prompts[which].tokenizer);
        let config = json!({
            "bos_token": "<|im_start|>",
            "eos_token": {"content": "<end_of_utterance>", "special": true},
            "chat_template": "not this one",
        });
        write_json(folder, "tokenizer_config.json", &config);
        let template = json!({"chat_template": self.chat_template});
        write_json(folder, "chat_template.json", &template);
        // As published: the first token of the published file is wrong.
        let generation = json!({"bos_token_id": 0, "eos_token_id": [342], "pad_token_id": 2});
        write_json(folder, "generation_config.json", &generation);
    }
}

pub(crate) fn write_json(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).unwrap();
}

/// Writes a file of safetensors.
pub(crate) fn save(path: &Path, tensors: &[HubTensor], dtype: Dtype) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| {
            let values = tensor.values.iter();
            match dtype {
                Dtype::F16 => values
                    .flat_map(|value| half::f16::from_f32(*value).to_le_bytes())
                    .collect(),
                Dtype::BF16 => values
                    .flat_map(|value| half::bf16::from_f32(*value).to_le_bytes())
                    .collect(),
                _ => values.flat_map(|value| value.to_le_bytes()).collect(),
            }
        })
        .collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(dtype, tensor.dims.clone(), bytes).unwrap();
        (tensor.name.as_str(), view)
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}
