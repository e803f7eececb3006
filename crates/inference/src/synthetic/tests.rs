//! That made-up models are models: they load, have the shape asked for, and compute numbers.

use crate::{
    BareTextModel, BertEmbedder, Embedder, EmbedderOptions, Error, Precision, TextModelOptions,
    VisionCheckpoint, load_tower,
};

use super::*;

const TEXT: TextShape = TextShape {
    blocks: 2,
    hidden: 256,
    feed_forward: 512,
    heads: 8,
    kv_heads: 2,
    head_dim: 32,
    vocabulary: 1000,
    context: 200,
    ties_embedding: false,
};

fn load(shape: &TextShape, weights: WeightType) -> BareTextModel {
    let options = TextModelOptions {
        device: crate::test_device::device(),
        ..TextModelOptions::default()
    };
    BareTextModel::made_up("made up", shape, weights, &options).unwrap()
}

#[test]
fn text_models_of_all_types_compute_numbers() {
    for name in ["f32", "bf16", "f16", "q8_0", "q4_1", "q4_k"] {
        let weights: WeightType = name.parse().unwrap();
        assert_eq!(weights.to_string(), name);
        for ties_embedding in [true, false] {
            let shape = TextShape {
                ties_embedding,
                ..TEXT
            };
            let mut model = load(&shape, weights);
            assert_eq!(model.vocabulary(), 1000);
            assert_eq!(model.context_length(), 200);
            let block = 256 * (2 * 256 + 2 * 64) + 3 * 256 * 512;
            assert_eq!(model.block_parameters(), 2 * block);
            let logits = model.read(&[1, 2, 3]).unwrap();
            assert_eq!(logits.len(), 1000, "{name}");
            let all_equal = logits.iter().all(|logit| *logit == logits[0]);
            assert!(
                !all_equal && logits.iter().all(|logit| logit.is_finite()),
                "{name}"
            );
        }
    }
}

#[test]
fn types_that_do_not_fit_a_shape_are_refused() {
    let odd = TextShape { hidden: 96, ..TEXT };
    let refused =
        BareTextModel::made_up("odd", &odd, WeightType::Q4K, &TextModelOptions::default());
    assert!(matches!(refused, Err(Error::InvalidRequest { .. })));
    assert!("q3".parse::<WeightType>().is_err());
}

#[test]
fn encoders_are_written_and_embed() {
    let folder = tempfile::tempdir().unwrap();
    let shape = EncoderShape {
        layers: 2,
        hidden: 64,
        inner: 128,
        heads: 4,
        vocabulary: 300,
        positions: 50,
    };
    shape.write(folder.path()).unwrap();
    let options = EmbedderOptions {
        device: crate::test_device::device(),
        ..EmbedderOptions::default()
    };
    let model = BertEmbedder::load("made up", folder.path(), "", &options).unwrap();
    assert_eq!(model.info().dimension, 64);
    assert_eq!(model.info().max_tokens, 50);
    let vectors = model
        .embed_tokens(vec![vec![5; 50], vec![7, 8, 9]])
        .unwrap();
    for vector in vectors {
        let norm: f32 = vector.iter().map(|value| value * value).sum();
        assert!((norm - 1.0).abs() < 1e-3, "{norm}");
    }
    let nowhere = folder.path().join("nowhere");
    assert!(matches!(shape.write(&nowhere), Err(Error::Write { .. })));
}

#[test]
fn vision_halves_are_written_and_see() {
    let folder = tempfile::tempdir().unwrap();
    let shape = VisionShape {
        blocks: 2,
        hidden: 64,
        inner: 128,
        heads: 4,
        image_size: 64,
        patch_size: 16,
        scale_factor: 2,
        text_width: 96,
    };
    shape.write(folder.path()).unwrap();
    let checkpoint = VisionCheckpoint::open(folder.path()).unwrap();
    let device = crate::test_device::device();
    let tower = load_tower(&checkpoint, &device, None, Precision::F32).unwrap();
    let frame = vec![0.25; tower.config().frame_values()];
    let tokens = tower.encode(&frame).unwrap();
    assert_eq!(tokens.len(), 4 * 96);
    assert!(tokens.iter().all(|value| value.is_finite()));
    // Sixteen patches through blocks and patch map, four squares through the connector.
    let blocks = 2 * (4 * 64 * 64 + 2 * 64 * 128);
    let products = 16 * (blocks + 768 * 64) + 4 * (4 * 64 * 96);
    assert_eq!(shape.products(), products);
}
