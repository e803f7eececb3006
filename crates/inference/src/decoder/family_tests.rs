//! What Gemma's and Phi's files may say, and what they may not.

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;

use super::*;
use crate::Error;
use crate::tiny::{self, TinyModel};

const TOKENS: [u32; 12] = [258, 72, 101, 3, 256, 257, 200, 72, 259, 4, 9, 44];

fn load(model: &TinyModel) -> Result<Decoder> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    model.write_as(&path, GgmlDType::F32);
    Decoder::from_gguf(&ModelFile::open(&path)?, &Device::Cpu)
}

fn logits(model: &TinyModel, chunk: usize) -> Vec<f32> {
    logits_in(model, chunk, tiny::CONTEXT)
}

/// Of a request of at most `limit` tokens.
fn logits_in(model: &TinyModel, chunk: usize, limit: usize) -> Vec<f32> {
    logits_of(&load(model).unwrap(), chunk, limit)
}

fn logits_of(decoder: &Decoder, chunk: usize, limit: usize) -> Vec<f32> {
    let mut cache = decoder.new_cache(limit);
    let steps = TOKENS.chunks(chunk);
    let steps = steps.map(|tokens| decoder.forward(tokens, &mut cache).unwrap());
    steps.last().unwrap()
}

fn distance(left: &[f32], right: &[f32]) -> f32 {
    let pairs = left.iter().zip(right);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn changed(architecture: &str, key: &str, value: Value) -> TinyModel {
    let mut model = TinyModel::new(architecture);
    model.set(&format!("{architecture}.{key}"), value);
    model
}

#[test]
fn chunks_and_single_tokens_give_what_one_pass_gives_with_windows() {
    for architecture in ["gemma2", "gemma3", "phi3"] {
        let model = TinyModel::new(architecture);
        let whole = logits(&model, TOKENS.len());
        for chunk in [1, 3, 7] {
            let distance = distance(&logits(&model, chunk), &whole);
            assert!(distance < 1e-3, "{architecture}, {chunk}: {distance}");
        }
    }
}

#[test]
fn a_window_hides_what_is_before_it() {
    for architecture in ["gemma3", "phi3"] {
        let window = "attention.sliding_window";
        let some = logits(&TinyModel::new(architecture), 12);
        let none = logits(&changed(architecture, window, Value::U32(0)), 12);
        let wide = logits(&changed(architecture, window, Value::U32(12)), 12);
        assert!(distance(&some, &wide) > 1e-2, "{architecture}");
        // Without a window, Gemma 3 has no local blocks, and so no rotary base of theirs.
        if architecture == "phi3" {
            assert_eq!(none, wide);
        }
    }
}

#[test]
fn a_file_may_list_the_local_blocks() {
    let pattern = "attention.sliding_window_pattern";
    let list = |blocks: &[bool]| Value::Array(blocks.iter().map(|is| Value::Bool(*is)).collect());
    let by_period = logits(&TinyModel::new("gemma3"), 12);
    let listed = changed("gemma3", pattern, list(&[true, false]));
    assert_eq!(logits(&listed, 12), by_period);
    let all_local = logits(&changed("gemma3", pattern, list(&[true, true])), 12);
    assert_eq!(
        logits(&changed("gemma3", pattern, Value::U32(0)), 12),
        all_local
    );
    assert!(distance(&all_local, &by_period) > 1e-3);
    for wrong in [list(&[true]), Value::Array(vec![Value::U32(1); 2])] {
        let error = load(&changed("gemma3", pattern, wrong)).unwrap_err();
        assert!(error.to_string().contains(pattern), "{error}");
    }
}

#[test]
fn numbers_that_a_file_states_are_used() {
    for (key, number) in [
        ("attention.scale", 1.0),
        ("attn_logit_softcapping", 0.5),
        ("final_logit_softcapping", 0.5),
        ("rope.freq_base_swa", 100.0),
        ("rope.scaling.attn_factor", 1.5),
    ] {
        let plain = logits(&TinyModel::new("gemma3"), 12);
        let stated = logits(&changed("gemma3", key, Value::F32(number)), 12);
        assert!(distance(&plain, &stated) > 1e-3, "{key}");
    }
}

#[test]
fn caps_hold_where_the_architecture_has_them_and_zero_is_none() {
    let cap = |model: &TinyModel| load(model).unwrap().config().clone();
    let gemma2 = cap(&TinyModel::new("gemma2"));
    assert_eq!(
        (gemma2.score_cap, gemma2.logit_cap),
        (Some(50.0), Some(30.0))
    );
    let none = cap(&changed(
        "gemma2",
        "attn_logit_softcapping",
        Value::F32(0.0),
    ));
    assert_eq!(none.score_cap, None);
    let gemma3 = cap(&TinyModel::new("gemma3"));
    assert_eq!((gemma3.score_cap, gemma3.logit_cap), (None, None));
}

/// Two sets of factors, for requests within the first context and for longer ones.
pub(super) fn long_model() -> TinyModel {
    let mut model = changed(
        "phi3",
        "rope.scaling.original_context_length",
        Value::U32(50),
    );
    for (name, fastest) in [("short", 1.0f32), ("long", 3.0)] {
        let factors = Tensor::new(&[fastest, 1.5, 4.0, 9.0], &Device::Cpu).unwrap();
        model.set_tensor(&format!("rope_factors_{name}.weight"), factors);
    }
    model
}

#[test]
fn a_requests_length_picks_the_rotary_factors() {
    let model = long_model();
    let short = logits_in(&model, 12, 50);
    assert_eq!(short, logits_in(&model, 12, 12));
    assert!(distance(&short, &logits_in(&model, 12, 51)) > 1e-3);
}

#[test]
fn rotary_factors_that_cannot_be_are_named() {
    let mut unknown = long_model();
    unknown.remove("phi3.rope.scaling.original_context_length");
    let error = load(&unknown).unwrap_err();
    assert!(error.to_string().contains("original_context"), "{error}");
    for name in ["rope_factors_short.weight", "rope_factors_long.weight"] {
        let mut missing = long_model();
        missing.remove_tensor(name);
        let mut zero = long_model();
        zero.set_tensor(
            name,
            Tensor::new(&[1f32, 0.0, 1.0, 1.0], &Device::Cpu).unwrap(),
        );
        let mut longer = long_model();
        longer.set_tensor(name, Tensor::new(&[1f32; 5], &Device::Cpu).unwrap());
        for model in [missing, zero, longer] {
            match load(&model) {
                Err(Error::BadTensor { tensor, .. }) => assert_eq!(tensor, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_part_of_a_head_is_rotated_where_the_file_says() {
    let whole = logits(&TinyModel::new("phi3"), 12);
    let part = changed("phi3", "rope.dimension_count", Value::U32(6));
    assert!(distance(&whole, &logits(&part, 12)) > 1e-3);
    let fuses = load(&part).unwrap().that_fuses();
    assert!(distance(&logits(&part, 12), &logits_of(&fuses, 12, tiny::CONTEXT)) < 1e-4);
    for wrong in [7, 10] {
        let error = load(&changed("phi3", "rope.dimension_count", Value::U32(wrong)));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("phi3.rope.dimension_count"), "{error}");
    }
}

#[test]
fn missing_and_misshapen_tensors_of_these_families_are_named() {
    for (architecture, name) in [
        ("gemma3", "blk.1.post_attention_norm.weight"),
        ("gemma3", "blk.0.post_ffw_norm.weight"),
        ("gemma3", "blk.0.attn_q_norm.weight"),
        ("gemma2", "blk.1.ffn_gate.weight"),
        ("phi3", "blk.0.attn_qkv.weight"),
        ("phi3", "blk.1.ffn_up.weight"),
    ] {
        let mut missing = TinyModel::new(architecture);
        missing.remove_tensor(name);
        let mut wrong = TinyModel::new(architecture);
        let tensor = wrong.random(&[3, 5], 1.0);
        wrong.set_tensor(name, tensor);
        for model in [missing, wrong] {
            match load(&model) {
                Err(Error::BadTensor { tensor, .. }) => assert_eq!(tensor, name),
                other => panic!("{architecture}, {name}: {other:?}"),
            }
        }
    }
}

#[test]
fn windows_and_numbers_that_cannot_be_are_errors_that_name_the_key() {
    let cases = [
        ("attention.sliding_window", Value::U64(1 << 40)),
        ("attention.sliding_window", Value::I32(-4)),
        ("attention.sliding_window", Value::F32(4.0)),
        ("attention.sliding_window_pattern", Value::I32(-1)),
        ("rope.freq_base_swa", Value::F32(0.0)),
        ("rope.freq_base_swa", Value::F32(f32::NAN)),
        ("rope.scaling.attn_factor", Value::F32(-1.0)),
        (
            "rope.scaling.original_context_length",
            Value::String("x".to_owned()),
        ),
        ("attn_logit_softcapping", Value::F32(-1.0)),
        ("attention.scale", Value::F32(f32::INFINITY)),
    ];
    for (key, value) in cases {
        let error = load(&changed("gemma3", key, value)).unwrap_err();
        assert!(matches!(error, Error::BadModel { .. }), "{key}: {error:?}");
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[test]
fn the_largest_gemmas_scale_scores_by_the_share_of_a_head() {
    let scale = |architecture: &str, blocks: u32| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        changed(architecture, "block_count", Value::U32(blocks)).write(&path);
        let config = DecoderConfig::from_gguf(&ModelFile::open(&path).unwrap()).unwrap();
        1.0 / config.score_scale.powi(2)
    };
    let head = TinyModel::head_dim("gemma3") as f32;
    let share = (tiny::HIDDEN / tiny::HEADS) as f32;
    assert!((scale("gemma3", 26) - head).abs() < 1e-3);
    assert!((scale("gemma3", 62) - share).abs() < 1e-3);
    assert!((scale("gemma2", 46) - share).abs() < 1e-3);
}

#[test]
fn other_phis_are_named() {
    for name in ["phi2", "phimoe", "gemma3n", "gemma-embedding"] {
        let mut model = TinyModel::new("llama");
        model.set("general.architecture", Value::String(name.to_owned()));
        let error = load(&model).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { found, .. } if found == name));
    }
}
