//! The configuration of a folder as published on the hub: Idefics3 and SmolVLM.
//!
//! What `vision_config` leaves out has the defaults of transformers' `Idefics3VisionConfig`: published
//! folders leave out much of it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::VisionConfig;
use crate::{Error, Result};

pub(super) const CONFIG: &str = "config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";
/// Where newer versions of transformers write the same.
const PROCESSOR: &str = "processor_config.json";

#[derive(Deserialize)]
struct Config {
    model_type: String,
    #[serde(default = "two")]
    scale_factor: usize,
    text_config: TextConfig,
    vision_config: TowerConfig,
}

#[derive(Deserialize)]
struct TextConfig {
    hidden_size: usize,
}

#[derive(Deserialize)]
#[serde(default)]
struct TowerConfig {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_channels: usize,
    image_size: usize,
    patch_size: usize,
    hidden_act: String,
    layer_norm_eps: f32,
}

impl Default for TowerConfig {
    fn default() -> Self {
        Self {
            hidden_size: 1152,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 16,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: GELU.to_owned(),
            layer_norm_eps: 1e-6,
        }
    }
}

/// The one activation: GELU by its tanh approximation.
const GELU: &str = "gelu_pytorch_tanh";

#[derive(Deserialize)]
struct Processor {
    image_processor: Preprocessor,
}

#[derive(Deserialize)]
struct Preprocessor {
    size: Edge,
    max_image_size: Edge,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

#[derive(Deserialize)]
struct Edge {
    longest_edge: usize,
}

fn two() -> usize {
    2
}

/// Reads and checks the configuration files.
pub(super) fn read(folder: &Path) -> Result<VisionConfig> {
    let path = folder.join(CONFIG);
    let config: Config = required(&path)?;
    config.check(&path)?;
    let (source, pictures) = preprocessor(folder)?;
    let tower = config.vision_config;
    // Frames of another size would need another table of positions.
    if pictures.max_image_size.longest_edge != tower.image_size {
        let problem = format!(
            "max_image_size is {}, but the tower takes frames of {}",
            pictures.max_image_size.longest_edge, tower.image_size
        );
        let path = folder.join(source);
        return Err(Error::BadModel { path, problem });
    }
    Ok(VisionConfig {
        hidden: tower.hidden_size,
        blocks: tower.num_hidden_layers,
        heads: tower.num_attention_heads,
        inner: tower.intermediate_size,
        image_size: tower.image_size,
        patch_size: tower.patch_size,
        epsilon: tower.layer_norm_eps,
        scale_factor: config.scale_factor,
        text_width: config.text_config.hidden_size,
        longest_edge: pictures.size.longest_edge,
        mean: pictures.image_mean,
        std: pictures.image_std,
    })
}

impl Config {
    fn check(&self, path: &Path) -> Result<()> {
        let unsupported = |what, found: &str, supported| Error::Unsupported {
            path: path.to_owned(),
            what,
            found: found.to_owned(),
            supported,
        };
        if !matches!(self.model_type.as_str(), "idefics3" | "smolvlm") {
            let supported = "idefics3, smolvlm";
            return Err(unsupported("architecture", &self.model_type, supported));
        }
        let tower = &self.vision_config;
        if tower.hidden_act != GELU {
            return Err(unsupported("activation", &tower.hidden_act, GELU));
        }
        if tower.num_channels != 3 {
            let found = tower.num_channels.to_string();
            return Err(unsupported("number of channels", &found, "3"));
        }
        Ok(())
    }
}

/// What is said of pictures, and where.
fn preprocessor(folder: &Path) -> Result<(&'static str, Preprocessor)> {
    if let Some(found) = optional(&folder.join(PREPROCESSOR))? {
        return Ok((PREPROCESSOR, found));
    }
    if let Some(Processor { image_processor }) = optional(&folder.join(PROCESSOR))? {
        return Ok((PROCESSOR, image_processor));
    }
    required(&folder.join(PREPROCESSOR)).map(|found| (PREPROCESSOR, found))
}

fn required<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Config {
        path: path.to_owned(),
        source,
    })
}

fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match required(path) {
        Err(Error::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
