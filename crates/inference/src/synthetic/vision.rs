//! A made-up vision half of an Idefics3 or SmolVLM, as a folder.

use std::path::Path;

use serde_json::json;

use super::folder::{Made, write_json, write_tensors};
use crate::Result;
use crate::vision::{VisionConfig, tensor_dims};

/// The sizes of a vision half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisionShape {
    /// Blocks of the tower.
    pub blocks: usize,
    /// Width of its states.
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub inner: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Pixels of a frame's side.
    pub image_size: usize,
    /// Pixels of a patch's side.
    pub patch_size: usize,
    /// Patches of the side of a square that becomes one token.
    pub scale_factor: usize,
    /// Width of the text model.
    pub text_width: usize,
}

impl VisionShape {
    /// Writes it as a folder: `config.json`, `preprocessor_config.json`, `model.safetensors`.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write) when a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let config = json!({
            "model_type": "idefics3", "scale_factor": self.scale_factor,
            "text_config": { "model_type": "llama", "hidden_size": self.text_width },
            "vision_config": {
                "hidden_size": self.hidden, "num_hidden_layers": self.blocks,
                "num_attention_heads": self.heads, "intermediate_size": self.inner,
                "image_size": self.image_size, "patch_size": self.patch_size,
                "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
            },
        });
        write_json(&folder.join("config.json"), &config)?;
        let pictures = json!({
            "size": { "longest_edge": 4 * self.image_size },
            "max_image_size": { "longest_edge": self.image_size },
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        });
        write_json(&folder.join("preprocessor_config.json"), &pictures)?;
        write_tensors(&folder.join("model.safetensors"), &self.tensors())
    }

    /// Weights of the tower's matrices and of the connector, times the rows that each multiplies: what a frame costs
    /// beside its attention.
    pub fn products(&self) -> usize {
        let patches = (self.image_size / self.patch_size).pow(2);
        let block = 4 * self.hidden * self.hidden + 2 * self.hidden * self.inner;
        let patch = 3 * self.patch_size * self.patch_size * self.hidden;
        let square = self.scale_factor * self.scale_factor;
        let connector = patches / square * (square * self.hidden * self.text_width);
        patches * (self.blocks * block + patch) + connector
    }

    fn config(&self) -> VisionConfig {
        VisionConfig {
            hidden: self.hidden,
            blocks: self.blocks,
            heads: self.heads,
            inner: self.inner,
            image_size: self.image_size,
            patch_size: self.patch_size,
            epsilon: 1e-6,
            scale_factor: self.scale_factor,
            text_width: self.text_width,
            longest_edge: 4 * self.image_size,
            mean: [0.5; 3],
            std: [0.5; 3],
        }
    }

    fn tensors(&self) -> Vec<Made> {
        let tensors = tensor_dims(&self.config()).into_iter();
        let tensors = tensors.map(|(name, dims)| match name.ends_with("bias") {
            true => Made::of(name, dims, 0.0),
            false if name.contains("norm") => Made::of(name, dims, 1.0),
            false => Made::random(name, dims),
        });
        tensors.collect()
    }
}
