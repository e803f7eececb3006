//! A checkpoint's configuration of its image processor.

use serde::Deserialize;
use serde_json::Value;

use super::{Filter, ProcessorError, ProcessorSettings};

/// The fields of `preprocessor_config.json` that say something about pixels. What is missing is as in
/// transformers' `Idefics3ImageProcessor`.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    image_processor_type: Option<String>,
    size: Edge,
    max_image_size: Edge,
    resample: u64,
    image_mean: Channels,
    image_std: Channels,
    rescale_factor: f64,
    do_resize: bool,
    do_rescale: bool,
    do_normalize: bool,
    do_image_splitting: bool,
}

#[derive(Deserialize)]
struct Edge {
    longest_edge: u32,
}

/// One number for all channels, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Channels {
    One(f32),
    Each([f32; 3]),
}

impl Channels {
    fn each(&self) -> [f32; 3] {
        match *self {
            Self::One(value) => [value; 3],
            Self::Each(values) => values,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            image_processor_type: None,
            size: Edge {
                longest_edge: 4 * 364,
            },
            max_image_size: Edge { longest_edge: 364 },
            resample: 1,
            image_mean: Channels::One(0.5),
            image_std: Channels::One(0.5),
            rescale_factor: 1.0 / 255.0,
            do_resize: true,
            do_rescale: true,
            do_normalize: true,
            do_image_splitting: true,
        }
    }
}

/// The settings that a configuration means.
pub(super) fn settings(json: &str) -> Result<ProcessorSettings, ProcessorError> {
    let mut value: Value =
        serde_json::from_str(json).map_err(|source| ProcessorError::Json { source })?;
    if let Some(within) = value.get_mut("image_processor") {
        value = within.take();
    }
    let config: Config =
        serde_path_to_error::deserialize(value).map_err(|error| ProcessorError::Shape {
            field: error.path().to_string(),
            source: error.into_inner(),
        })?;
    check_family(&config)?;
    check_resize(&config)?;
    let normalised = |values: &Channels, otherwise: f32| {
        if config.do_normalize {
            values.each()
        } else {
            [otherwise; 3]
        }
    };
    Ok(ProcessorSettings {
        tile: config.max_image_size.longest_edge,
        longest_edge: config.size.longest_edge,
        mean: normalised(&config.image_mean, 0.0),
        std: normalised(&config.image_std, 1.0),
        rescale: if config.do_rescale {
            config.rescale_factor
        } else {
            1.0
        },
        filter: filter(config.resample)?,
        splits: config.do_image_splitting,
    })
}

/// Idefics3's and SmolVLM's processors do the same; the names of their variants begin alike.
fn check_family(config: &Config) -> Result<(), ProcessorError> {
    match &config.image_processor_type {
        Some(found) if !found.starts_with("Idefics3") && !found.starts_with("SmolVLM") => {
            Err(ProcessorError::Family {
                found: found.clone(),
            })
        }
        _ => Ok(()),
    }
}

/// Without the first resize, frames would have any size.
fn check_resize(config: &Config) -> Result<(), ProcessorError> {
    if config.do_resize {
        return Ok(());
    }
    Err(ProcessorError::Field {
        field: "do_resize",
        found: "false".to_owned(),
        expected: "pictures are always resized",
    })
}

fn filter(resample: u64) -> Result<Filter, ProcessorError> {
    Filter::of_pillow(resample).ok_or_else(|| ProcessorError::Field {
        field: "resample",
        found: resample.to_string(),
        expected: "1 to 5 are known",
    })
}
