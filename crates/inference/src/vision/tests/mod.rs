//! The vision half against transformers, its two ways to compute against each other, its two kinds of
//! files, and files that are wrong.

#![allow(clippy::unwrap_used)]

mod files;
mod made_up;
mod precision;
mod reference;

use std::sync::Arc;

use safetensors::tensor::Dtype;

use super::{VisionCheckpoint, VisionConfig, VisionTower, load_candle_tower, load_tower};
use crate::device::SelectedDevice;
use crate::embedder::{CardPrecision, Precision};
use made_up::MadeUp;

/// Sixty-four patches that become four tokens.
pub(super) fn tiny_config() -> VisionConfig {
    VisionConfig {
        hidden: 64,
        blocks: 2,
        heads: 2,
        inner: 96,
        image_size: 35,
        patch_size: 4,
        epsilon: 1e-6,
        scale_factor: 4,
        text_width: 48,
        longest_edge: 140,
        mean: [0.5; 3],
        std: [0.5; 3],
    }
}

/// Written as a folder and opened.
fn opened(made_up: &MadeUp) -> VisionCheckpoint {
    let folder = tempfile::tempdir().unwrap();
    made_up.write_folder(folder.path(), Dtype::F32);
    // The files are mapped: they may go.
    VisionCheckpoint::open(folder.path()).unwrap()
}

fn on_kernels(checkpoint: &VisionCheckpoint, precision: Precision) -> Arc<dyn VisionTower> {
    load_tower(checkpoint, &SelectedDevice::default(), None, precision).unwrap()
}

fn on_candle(checkpoint: &VisionCheckpoint) -> Arc<dyn VisionTower> {
    load_candle_tower(checkpoint, &SelectedDevice::default(), CardPrecision::F32).unwrap()
}

/// The greatest difference of two rows of values.
fn difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    let differences = left.iter().zip(right).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most, x| if x > most || x.is_nan() { x } else { most })
}

/// The least cosine of two rows of vectors.
fn least_cosine(left: &[f32], right: &[f32], width: usize) -> f64 {
    assert_eq!(left.len(), right.len());
    let pairs = left.chunks_exact(width).zip(right.chunks_exact(width));
    let cosines = pairs.map(|(a, b)| {
        let product = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum()
        };
        product(a, b) / (product(a, a) * product(b, b)).sqrt()
    });
    cosines.fold(
        1.0,
        |least, x| if x < least || x.is_nan() { x } else { least },
    )
}
