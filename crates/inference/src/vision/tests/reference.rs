//! Against transformers in f32 (`scripts/reference/vision_tower.py` made the values).

use std::collections::HashMap;

use serde::Deserialize;

use super::super::VisionConfig;
use super::*;

#[derive(Deserialize)]
struct Case {
    sizes: Sizes,
    states: HashMap<usize, Vec<f32>>,
    state_norms: Vec<f32>,
    tokens: HashMap<usize, Vec<f32>>,
    token_norms: Vec<f32>,
}

#[derive(Deserialize)]
struct Sizes {
    hidden: usize,
    blocks: usize,
    heads: usize,
    inner: usize,
    image: usize,
    patch: usize,
    scale: usize,
    text: usize,
    epsilon: f32,
}

impl Case {
    fn read(name: &str) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/vision_tower.json");
        let bytes = std::fs::read(path).unwrap();
        let mut cases: HashMap<String, Case> = serde_json::from_slice(&bytes).unwrap();
        cases.remove(name).unwrap()
    }

    fn made_up(&self) -> MadeUp {
        let sizes = &self.sizes;
        MadeUp::new(VisionConfig {
            hidden: sizes.hidden,
            blocks: sizes.blocks,
            heads: sizes.heads,
            inner: sizes.inner,
            image_size: sizes.image,
            patch_size: sizes.patch,
            scale_factor: sizes.scale,
            text_width: sizes.text,
            epsilon: sizes.epsilon,
            ..tiny_config()
        })
    }
}

/// The greatest difference of the rows that are stored whole, and of the lengths of all.
fn compare(ours: &[f32], rows: &HashMap<usize, Vec<f32>>, norms: &[f32], width: usize) -> f32 {
    assert_eq!(ours.len(), norms.len() * width);
    let whole = rows
        .iter()
        .map(|(row, theirs)| difference(&ours[row * width..][..width], theirs));
    let lengths: Vec<f32> = ours
        .chunks_exact(width)
        .map(|row| row.iter().map(|x| x * x).sum::<f32>().sqrt())
        .collect();
    // Lengths are stored with four decimals.
    let lengths = (difference(&lengths, norms) - 5e-5).max(0.0);
    whole.fold(lengths, f32::max)
}

/// States, then tokens; both are about 1 in size. Measured of tokens: 5e-6 for small towers, 1e-5 for the
/// published shape.
fn differences(tower: &dyn VisionTower, case: &Case, frame: &[f32]) -> [f32; 2] {
    let (hidden, text) = (case.sizes.hidden, case.sizes.text);
    let states = tower.states(frame).unwrap();
    let tokens = tower.encode(frame).unwrap();
    [
        compare(&states, &case.states, &case.state_norms, hidden),
        compare(&tokens, &case.tokens, &case.token_norms, text),
    ]
}

#[test]
fn small_towers_agree_with_transformers() {
    for name in ["heads_of_72", "heads_of_64", "heads_of_32"] {
        let case = Case::read(name);
        let made_up = case.made_up();
        let checkpoint = opened(&made_up);
        let towers = [
            ("kernels", on_kernels(&checkpoint, Precision::F32)),
            ("Candle", on_candle(&checkpoint)),
        ];
        for (which, tower) in towers {
            let found = differences(&*tower, &case, &made_up.frame());
            assert!(
                found.iter().all(|x| *x < 2e-5),
                "{name}, {which}: {found:?}"
            );
        }
    }
}

#[test]
fn the_published_shape_agrees_with_transformers() {
    let case = Case::read("256m");
    let made_up = case.made_up();
    let checkpoint = opened(&made_up);
    let frame = made_up.frame();
    let tower = on_kernels(&checkpoint, Precision::F32);
    let found = differences(&*tower, &case, &frame);
    assert!(found.iter().all(|x| *x < 5e-5), "{found:?}");
    let exact = tower.encode(&frame).unwrap();
    drop(tower);
    let candle = on_candle(&checkpoint);
    let other = difference(&candle.encode(&frame).unwrap(), &exact);
    assert!(other < 1e-4, "Candle: {other}");
    drop(candle);
    // What rounding costs: the least cosine of a token.
    for (precision, least) in [
        (Precision::Bf16, 0.999_95),
        (Precision::Mixed, 0.999_85),
        (Precision::Int8, 0.999_8),
    ] {
        let tower = on_kernels(&checkpoint, precision);
        let cosine = least_cosine(&tower.encode(&frame).unwrap(), &exact, case.sizes.text);
        assert!(cosine > least, "{precision:?}: {cosine}");
    }
}
