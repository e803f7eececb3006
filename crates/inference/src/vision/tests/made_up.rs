//! Vision halves whose weights follow from the names of their tensors, as
//! `scripts/reference/vision_tower.py` makes them, written as a folder or as `mmproj`.

use std::fs::File;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::super::VisionConfig;
use super::super::checkpoint::names;

/// A vision half before it is written, to be spoiled.
#[derive(Clone)]
pub(super) struct MadeUp {
    pub(super) config: VisionConfig,
    /// By the hub's names.
    pub(super) tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
}

/// Numbers in -1 .. 1 that follow from a name: SplitMix64, seeded with the name's FNV-1a hash.
pub(super) fn generated(name: &str, count: usize) -> Vec<f32> {
    let mut state = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let numbers = (0..count).map(|_| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f32 * (1.0 / 8_388_608.0) - 1.0
    });
    numbers.collect()
}

fn values(name: &str, dims: &[usize]) -> Vec<f32> {
    let mut numbers = generated(name, dims.iter().product());
    let (start, factor) = if name.contains("norm") && name.ends_with("weight") {
        (1.0, 0.25)
    } else if name.ends_with("bias") {
        (0.0, 0.125)
    } else if name.contains("position_embedding") {
        (0.0, 0.5)
    } else {
        let attention = name.contains("q_proj") || name.contains("k_proj");
        let gain: f64 = if attention { 1.5 } else { 1.0 };
        let inputs: usize = dims[1..].iter().product();
        (0.0, (gain * (3.0 / inputs as f64).sqrt()) as f32)
    };
    for number in &mut numbers {
        *number = start + factor * *number;
    }
    numbers
}

impl MadeUp {
    pub(super) fn new(config: VisionConfig) -> Self {
        let tensors = names::all(&config).into_iter().map(|name| {
            let dims = names::dims(&config, &name);
            let name = names::hub(&name);
            let values = values(&name, &dims);
            (name, dims, values)
        });
        Self {
            tensors: tensors.collect(),
            config,
        }
    }

    pub(super) fn frame(&self) -> Vec<f32> {
        generated("pixels", self.config.frame_values())
    }

    /// Makes some states large, as those of trained towers are in a few places: what the first blocks
    /// add there is many times what all else is.
    pub(super) fn with_large_states(mut self) -> Self {
        let hidden = self.config.hidden;
        for (name, dims, values) in &mut self.tensors {
            if name.contains("layers.0.mlp.fc2.weight") || name.contains("layers.1.mlp.fc2.weight")
            {
                for row in [3, hidden / 2] {
                    values[row * dims[1]..][..dims[1]]
                        .iter_mut()
                        .for_each(|value| *value *= 40.0);
                }
            }
        }
        self
    }

    pub(super) fn tensor(&mut self, name: &str) -> &mut (String, Vec<usize>, Vec<f32>) {
        self.tensors
            .iter_mut()
            .find(|(found, ..)| found == name)
            .unwrap()
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.tensors.retain(|(found, ..)| found != name);
    }

    /// The folder's `config.json`.
    pub(super) fn config_json(&self) -> serde_json::Value {
        let VisionConfig {
            hidden,
            blocks,
            heads,
            inner,
            image_size,
            patch_size,
            epsilon,
            scale_factor,
            text_width,
            ..
        } = self.config;
        json!({
            "model_type": "idefics3",
            "scale_factor": scale_factor,
            "text_config": {"model_type": "llama", "hidden_size": text_width},
            "vision_config": {
                "hidden_size": hidden, "num_hidden_layers": blocks, "num_attention_heads": heads,
                "intermediate_size": inner, "image_size": image_size, "patch_size": patch_size,
                "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": epsilon,
            },
        })
    }

    /// Writes a folder of the hub with one file of tensors of a type.
    pub(super) fn write_folder(&self, folder: &Path, dtype: Dtype) {
        self.write_configs(folder);
        write_tensors(&folder.join("model.safetensors"), &self.tensors, dtype);
    }

    /// Writes a folder of the hub with two files of tensors and an index.
    pub(super) fn write_sharded(&self, folder: &Path) {
        self.write_configs(folder);
        let (first, second) = self.tensors.split_at(self.tensors.len() / 2);
        let mut places = serde_json::Map::new();
        for (file, tensors) in [("a.safetensors", first), ("b.safetensors", second)] {
            write_tensors(&folder.join(file), tensors, Dtype::F32);
            for (name, ..) in tensors {
                places.insert(name.clone(), file.into());
            }
        }
        // The text half is of no interest, and its file need not be there.
        places.insert("lm_head.weight".to_owned(), "c.safetensors".into());
        write_json(
            &folder.join("model.safetensors.index.json"),
            &json!({"metadata": {}, "weight_map": places}),
        );
    }

    fn write_configs(&self, folder: &Path) {
        write_json(&folder.join("config.json"), &self.config_json());
        let preprocessor = json!({
            "size": {"longest_edge": self.config.longest_edge},
            "max_image_size": {"longest_edge": self.config.image_size},
            "image_mean": self.config.mean, "image_std": self.config.std,
        });
        write_json(&folder.join("preprocessor_config.json"), &preprocessor);
    }

    /// The keys of an `mmproj` file.
    pub(super) fn metadata(&self) -> Vec<(String, Value)> {
        let config = &self.config;
        let size =
            |key: &str, value: usize| (format!("clip.vision.{key}"), Value::U32(value as u32));
        let floats = |key: &str, values: [f32; 3]| {
            let values = values.map(Value::F32).to_vec();
            (format!("clip.vision.{key}"), Value::Array(values))
        };
        let text = |key: &str, value: &str| (key.to_owned(), Value::String(value.to_owned()));
        vec![
            text("general.architecture", "clip"),
            text("clip.projector_type", "idefics3"),
            ("clip.has_vision_encoder".to_owned(), Value::Bool(true)),
            ("clip.use_gelu".to_owned(), Value::Bool(true)),
            size("image_size", config.image_size),
            size("patch_size", config.patch_size),
            size("embedding_length", config.hidden),
            size("feed_forward_length", config.inner),
            size("block_count", config.blocks),
            size("projection_dim", config.text_width),
            size("attention.head_count", config.heads),
            size("projector.scale_factor", config.scale_factor),
            size("preproc_image_size", config.longest_edge),
            (
                "clip.vision.attention.layer_norm_epsilon".to_owned(),
                Value::F32(config.epsilon),
            ),
            floats("image_mean", config.mean),
            floats("image_std", config.std),
        ]
    }

    /// Writes an `mmproj` file: matrices of a type, all else in f32, as llama.cpp's converter does.
    /// `rename` may change names on the way.
    pub(super) fn write_mmproj(
        &self,
        path: &Path,
        dtype: GgmlDType,
        metadata: &[(String, Value)],
        rename: impl Fn(String) -> String,
    ) {
        let tensors: Vec<(String, QTensor)> = names::all(&self.config)
            .into_iter()
            .filter_map(|name| {
                let hub = names::hub(&name);
                let (_, dims, values) = self.tensors.iter().find(|(found, ..)| *found == hub)?;
                let is_matrix = name.ends_with("weight") && dims.len() > 1;
                let dtype = match is_matrix && !name.contains("embedding") {
                    true => dtype,
                    false => GgmlDType::F32,
                };
                let tensor = Tensor::from_slice(values, dims.as_slice(), &Device::Cpu).unwrap();
                let tensor = QTensor::quantize(&tensor, dtype).unwrap();
                Some((rename(names::mmproj(&name)), tensor))
            })
            .collect();
        let metadata: Vec<(&str, &Value)> = metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let tensors: Vec<(&str, &QTensor)> = tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        let mut file = File::create(path).unwrap();
        gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    }
}

/// The shape that the configuration calls for.
fn write_json(path: &Path, value: &serde_json::Value) {
    std::fs::write(path, value.to_string()).unwrap();
}

fn write_tensors(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)], dtype: Dtype) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| narrowed(values, dtype))
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, dims, _), bytes)| {
        let view = TensorView::new(dtype, dims.clone(), bytes).unwrap();
        (name.clone(), view)
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

fn narrowed(values: &[f32], dtype: Dtype) -> Vec<u8> {
    let values = values.iter();
    match dtype {
        Dtype::F16 => values
            .flat_map(|x| f16::from_f32(*x).to_le_bytes())
            .collect(),
        Dtype::BF16 => values
            .flat_map(|x| bf16::from_f32(*x).to_le_bytes())
            .collect(),
        _ => values.flat_map(|x| x.to_le_bytes()).collect(),
    }
}
