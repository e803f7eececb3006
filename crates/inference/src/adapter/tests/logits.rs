//! What adapters do to logits, on both decoders.

use std::collections::HashMap;

use candle_core::{DType, Tensor};
use serde_json::json;

use super::*;
use crate::engine::{LanguageModel, Part, TokenCache};

const TOKENS: [u32; 9] = [258, 72, 101, 3, 256, 257, 200, 72, 259];

/// Both are f32, but sums are taken in other orders, and the kernels keep keys and values in half
/// precision, where a last bit may fall either way.
const TOLERANCE: f32 = 5e-3;

/// Of kernels, with keys and values in half precision, and transformers, which keeps f32.
const OF_HALF_PRECISION: f32 = 2e-2;

fn logits<M: LanguageModel>(model: &M, applied: Option<&AppliedAdapter>) -> Vec<f32> {
    let mut cache = model.new_cache(usize::MAX);
    let part = Part {
        adapter: applied,
        ..Part::new(&TOKENS, &mut cache, TOKENS.len())
    };
    model.step(&mut [part]).unwrap()
}

fn distance(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    let pairs = left.iter().zip(right);
    pairs
        .map(|(left, right)| (left - right).abs())
        .fold(0.0, f32::max)
}

/// A model, and what binds adapters to it.
struct Bound<M> {
    model: M,
    binder: AdapterBinder,
}

impl<M: LanguageModel> Bound<M> {
    fn logits(&self, adapter: &Adapter) -> Vec<f32> {
        logits(&self.model, Some(&self.binder.apply(adapter).unwrap()))
    }
}

fn kernels(architecture: &str, model: &TinyModel, dtype: GgmlDType) -> Bound<KernelDecoder> {
    let file = open(model, dtype);
    let team = Arc::new(Team::new(3).unwrap());
    Bound {
        model: KernelDecoder::from_gguf(&file, Arc::clone(&team)).unwrap(),
        binder: binder(architecture, &file, Place::Kernels(team)),
    }
}

fn candle(architecture: &str, model: &TinyModel) -> Bound<Decoder> {
    let file = open(model, GgmlDType::F32);
    Bound {
        model: Decoder::from_gguf(&file, &Device::Cpu).unwrap(),
        binder: binder(architecture, &file, Place::Candle(Device::Cpu)),
    }
}

fn plain_kernels(architecture: &str) -> Bound<KernelDecoder> {
    kernels(architecture, &TinyModel::new(architecture), GgmlDType::F32)
}

/// Logits of the merged model and with the adapter; they must be close, and far from those without.
fn compare<M: LanguageModel>(bound: &Bound<M>, merged: &M, adapter: &Adapter, what: &str) -> f32 {
    let expected = logits(merged, None);
    let found = distance(&bound.logits(adapter), &expected);
    assert!(found < TOLERANCE, "{what}: {found}");
    let without = distance(&logits(&bound.model, None), &expected);
    assert!(without > 1.0, "{what}: without it {without}");
    found
}

#[test]
fn an_adapter_does_what_it_does_merged() {
    let mut most = 0f32;
    for architecture in ["llama", "qwen2", "qwen3", "gemma3", "phi3"] {
        let sample = Sample::all(architecture, 3, 1);
        let merged = sample.merged(1.0);
        let plain = TinyModel::new(architecture);
        for adapter in [from_gguf(&sample), from_peft(&sample)] {
            let on_kernels = plain_kernels(architecture);
            let expected = kernels(architecture, &merged, GgmlDType::F32).model;
            most = most.max(compare(&on_kernels, &expected, &adapter, architecture));
            let expected = candle(architecture, &merged).model;
            let over_candle = candle(architecture, &plain);
            most = most.max(compare(&over_candle, &expected, &adapter, architecture));
        }
    }
    eprintln!("the greatest difference of a logit: {most}");
}

/// Matrices that share a product with others that are not changed.
#[test]
fn each_matrix_alone_is_changed_alone() {
    for part in [
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_output",
        "ffn_gate",
        "ffn_up",
        "ffn_down",
    ] {
        let sample = Sample::of("llama", 5, 2, |other| other == part);
        assert_eq!(sample.pairs.len(), 2);
        let expected = sample.merged(1.0);
        let adapter = from_gguf(&sample);
        let merged = logits(&kernels("llama", &expected, GgmlDType::F32).model, None);
        let found = distance(&plain_kernels("llama").logits(&adapter), &merged);
        assert!(found < TOLERANCE, "{part}: {found}");
        let over_candle = candle("llama", &TinyModel::new("llama"));
        let merged = logits(&candle("llama", &expected).model, None);
        let found = distance(&over_candle.logits(&adapter), &merged);
        assert!(found < TOLERANCE, "{part} over Candle: {found}");
        let changed = distance(&logits(&over_candle.model, None), &merged);
        assert!(changed > 0.1, "{part}: {changed}");
    }
}

#[test]
fn both_formats_are_the_same_adapter() {
    for architecture in ["llama", "qwen2"] {
        let sample = Sample::all(architecture, 4, 3);
        let bound = plain_kernels(architecture);
        assert_eq!(
            bound.logits(&from_gguf(&sample)),
            bound.logits(&from_peft(&sample)),
            "{architecture}: to the bit"
        );
    }
}

/// A model whose query and key rows lie in halves, as a folder of transformers has them.
#[test]
fn a_gguf_adapter_is_turned_for_a_model_in_the_other_order() {
    let sample = Sample::all("llama", 4, 3);
    let file = open(&TinyModel::new("llama"), GgmlDType::F32);
    let mut config = DecoderConfig::from_gguf(&file).unwrap();
    config.rotary.layout = RotaryLayout::Halves;
    let [from_gguf, from_peft] = [from_gguf(&sample), from_peft(&sample)];
    let model = fit::Model {
        name: "tiny",
        architecture: "llama",
        config: &config,
    };
    let fitted = [&from_gguf, &from_peft].map(|adapter| model.fit(adapter).unwrap());
    let [turned, kept] = fitted.map(|fitted| {
        let sites = fitted.iter().flat_map(Sites::iter);
        let pieces = sites.flat_map(|site| &site.pieces);
        pieces.map(|piece| piece.b().to_vec()).collect::<Vec<_>>()
    });
    assert_eq!(turned, kept);
    let queries = &from_gguf.contents().pairs.first_key_value().unwrap().1;
    assert_ne!(turned.concat(), queries.b.values);
    assert_eq!(turned.len(), 14);
}

#[test]
fn a_scale_is_that_of_the_change() {
    let sample = Sample::all("llama", 3, 1);
    let adapter = from_peft(&sample);
    let half = adapter.with_scale(0.5).unwrap();
    assert_ne!(adapter, half);
    let merged = kernels("llama", &sample.merged(0.5), GgmlDType::F32).model;
    let bound = plain_kernels("llama");
    compare(&bound, &merged, &half, "half");
    let none = adapter.with_scale(0.0).unwrap();
    assert_eq!(bound.logits(&none), logits(&bound.model, None));
    assert!(adapter.with_scale(f32::NAN).is_err());
}

/// Patterns of ranks and alphas, the root of the rank, and the names of a vision model's text half.
#[test]
fn settings_of_peft_are_followed() {
    let mut sample = Sample::all("llama", 4, 1);
    let scale = |pairs: &mut Vec<(String, Tensor, Tensor)>, wanted: &str, factor: f64| {
        for (name, _, b) in pairs {
            if name.contains(wanted) {
                *b = (&*b * factor).unwrap();
            }
        }
    };
    let mut config = sample.peft_config();
    config["use_rslora"] = json!(true);
    config["r"] = json!(9);
    config["rank_pattern"] = json!({".*": 4});
    config["alpha_pattern"] = json!({"layers.1.mlp.(up|down)_proj": 12.0, "v_proj": 3, "proj": 6});
    let tensors = sample.peft_tensors("model.text_model.layers.", DType::F32);
    let adapter = load("adapter_model.safetensors", |folder| {
        sample::write_peft(folder, &config, &tensors);
    });
    let found = plain_kernels("llama").logits(&adapter.unwrap());
    // The same by ranks alone: 6 / sqrt(4) is twice 6 / 4, and so on.
    scale(&mut sample.pairs, "blk.", 2.0);
    scale(&mut sample.pairs, "blk.1.ffn_up", 2.0);
    scale(&mut sample.pairs, "blk.1.ffn_down", 2.0);
    scale(&mut sample.pairs, "attn_v", 0.5);
    let merged = kernels("llama", &sample.merged(1.0), GgmlDType::F32).model;
    let distance = distance(&found, &logits(&merged, None));
    assert!(distance < TOLERANCE, "{distance}");
}

/// Weights of two bytes, and of blocks.
#[test]
fn weights_of_other_types_are_read() {
    let sample = Sample::all("llama", 32, 1);
    let bound = plain_kernels("llama");
    let exact = bound.logits(&from_gguf(&sample));
    let size = exact.iter().fold(0f32, |most, logit| most.max(logit.abs()));
    for (dtype, tolerance) in [
        (GgmlDType::F16, 0.002),
        (GgmlDType::BF16, 0.05),
        (GgmlDType::Q8_0, 0.05),
    ] {
        let adapter = load("a", |folder| sample.write_gguf(&folder.join("a"), dtype)).unwrap();
        let found = distance(&bound.logits(&adapter), &exact) / size;
        assert!(found < tolerance && found > 0.0, "{dtype:?}: {found}");
    }
    for dtype in [DType::F16, DType::BF16] {
        let tensors = sample.peft_tensors("model.layers.", dtype);
        let write = |folder: &Path| sample::write_peft(folder, &sample.peft_config(), &tensors);
        let found = distance(&bound.logits(&load("", write).unwrap()), &exact) / size;
        assert!(found < 0.05 && found > 0.0, "{dtype:?}: {found}");
    }
}

/// A row's logits have the same bits alone and beside requests with other adapters and without, in one
/// pass and in chunks.
#[test]
fn company_and_chunks_change_no_bit() {
    let samples = [1, 2].map(|seed| Sample::all("llama", 2 + seed, seed));
    for (file_dtype, dtype) in [
        (GgmlDType::F32, GgmlDType::F32),
        (GgmlDType::Q8_0, GgmlDType::BF16),
        (GgmlDType::Q4_0, GgmlDType::F16),
    ] {
        let bound = kernels("llama", &TinyModel::new("llama"), file_dtype);
        let adapters = samples.each_ref().map(|sample| {
            let adapter = load("a", |folder| sample.write_gguf(&folder.join("a"), dtype));
            bound.binder.apply(&adapter.unwrap()).unwrap()
        });
        let [first, second] = &adapters;
        let text: Vec<u32> = (0..300).map(|at| at * 7 % 251).collect();
        let alone = |applied| {
            let mut cache = bound.model.new_cache(usize::MAX);
            let part = Part {
                adapter: applied,
                ..Part::new(&text, &mut cache, text.len())
            };
            bound.model.step(&mut [part]).unwrap()
        };
        let requests = [
            None,
            Some(first),
            Some(first),
            Some(second),
            None,
            Some(first),
        ];
        let expected = requests.map(alone);
        assert_ne!(expected[0], expected[1]);
        assert_ne!(expected[1], expected[3]);
        let mut found: [Vec<f32>; 6] = Default::default();
        let mut caches = [(); 6].map(|()| bound.model.new_cache(usize::MAX));
        for sizes in [
            [1, 8, 1, 3, 40, 200],
            [299, 100, 50, 296, 200, 1],
            [0, 192, 249, 1, 60, 99],
        ] {
            let mut parts = Vec::new();
            for ((cache, size), applied) in caches.iter_mut().zip(sizes).zip(requests) {
                if size > 0 {
                    let tokens = &text[cache.len()..][..size];
                    parts.push(Part {
                        adapter: applied,
                        ..Part::new(tokens, cache, size)
                    });
                }
            }
            let logits = bound.model.step(&mut parts).unwrap();
            let mut rest = logits.as_slice();
            for (found, size) in found.iter_mut().zip(sizes) {
                let (own, after) = rest.split_at(size * crate::tiny::VOCABULARY);
                found.extend_from_slice(own);
                rest = after;
            }
        }
        for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(found == expected, "{file_dtype:?}: request {number}");
        }
    }
}

#[test]
fn an_adapter_is_bound_once_and_kept_as_long_as_it_lives() {
    let binder = kernel_binder("llama");
    let adapter = from_gguf(&Sample::all("llama", 3, 1));
    let first = binder.apply(&adapter).unwrap();
    let bytes = binder.bytes();
    assert!(bytes > 0);
    let again = binder.apply(&adapter.clone()).unwrap();
    assert_eq!((first.kind, binder.bytes()), (again.kind, bytes));
    assert!(std::ptr::eq(
        first.kernels().unwrap(),
        again.kernels().unwrap()
    ));
    assert!(first.candle().is_err());
    let half = binder.apply(&adapter.with_scale(0.5).unwrap()).unwrap();
    assert!(std::ptr::eq(
        first.kernels().unwrap(),
        half.kernels().unwrap()
    ));
    let other = from_gguf(&Sample::all("llama", 1, 1));
    let kinds = [first.kind, half.kind, binder.apply(&other).unwrap().kind, 0];
    let distinct: std::collections::HashSet<u64> = kinds.into_iter().collect();
    assert_eq!(distinct.len(), 4, "no two share keys and values");
    drop(adapter);
    binder.apply(&other).unwrap();
    assert!(binder.bytes() < bytes);
    let names: HashMap<&str, f32> = [(other.name(), other.scale())].into();
    assert_eq!(names["sample"], 1.0);
}

/// Written by `scripts/reference/adapters.py`.
#[derive(serde::Deserialize)]
struct Reference {
    tokens: Vec<u32>,
    plain: Vec<Vec<f32>>,
    logits: Vec<Vec<f32>>,
}

#[test]
fn an_adapter_of_peft_does_what_it_does_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/adapter");
    let reference = std::fs::read(folder.join("logits.json")).unwrap();
    let reference: Reference = serde_json::from_slice(&reference).unwrap();
    assert_eq!(reference.tokens, TOKENS);
    let adapter = Adapter::load("of peft", &folder).unwrap();
    let last = |logits: Vec<f32>| logits[logits.len() - crate::tiny::VOCABULARY..].to_vec();
    let bound = plain_kernels("llama");
    let [plain, expected] = [&reference.plain[0], &reference.logits[0]];
    let without = distance(&last(logits(&bound.model, None)), plain);
    let on_kernels = distance(&last(bound.logits(&adapter)), expected);
    let bound = candle("llama", &TinyModel::new("llama"));
    let over_candle = distance(&last(bound.logits(&adapter)), expected);
    eprintln!("without {without}, on kernels {on_kernels}, over Candle {over_candle}");
    assert!(distance(plain, expected) > 1.0);
    assert!(without < OF_HALF_PRECISION && on_kernels < OF_HALF_PRECISION);
    assert!(over_candle < 1e-4);
}
