//! The decoder against a plain reference: loops over f64, no cache, no fused product.

use std::collections::HashMap;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;

use super::*;
use crate::Error;
use crate::tiny::{self, TinyModel};

const TOKENS: [u32; 9] = [258, 72, 101, 3, 256, 257, 200, 72, 259];

fn load(model: &TinyModel) -> Result<Decoder> {
    load_as(model, GgmlDType::F32)
}

fn load_as(model: &TinyModel, dtype: GgmlDType) -> Result<Decoder> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    model.write_as(&path, dtype);
    Decoder::from_gguf(&ModelFile::open(&path)?, &Device::Cpu)
}

fn logits(decoder: &Decoder, chunks: &[&[u32]]) -> Vec<f32> {
    let mut cache = decoder.new_cache(usize::MAX);
    let (last, before) = chunks.split_last().unwrap();
    for chunk in before {
        decoder.read(chunk, &mut cache).unwrap();
    }
    decoder.forward(last, &mut cache).unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(difference <= tolerance, "{index}: {found} and {expected}");
    }
}

#[test]
fn every_architecture_agrees_with_the_plain_reference() {
    for architecture in ["llama", "qwen2", "qwen3"] {
        let model = TinyModel::new(architecture);
        let decoder = load(&model).unwrap();
        let expected = Reference::new(&model, architecture).logits(&TOKENS);
        assert_close(&logits(&decoder, &[&TOKENS]), &expected, 1e-3);
    }
}

/// Written by `scripts/reference/generation.py`.
const TRANSFORMERS: &str = include_str!("../../tests/data/generation.json");

#[derive(serde::Deserialize)]
struct Answers {
    answers: Vec<Answer>,
}

#[derive(serde::Deserialize)]
struct Answer {
    question: String,
    tokens: Vec<u32>,
    greedy: Vec<u32>,
    #[serde(default)]
    logits: Vec<(usize, f32)>,
}

fn greatest(logits: &[f32]) -> u32 {
    let pairs = logits.iter().zip(0u32..);
    pairs
        .max_by(|left, right| left.0.total_cmp(right.0))
        .unwrap()
        .1
}

/// Logits within 0.01 of those of transformers on the dequantised weights, and its greedy choice at
/// 99 of 100 places, given the choices before.
#[test]
fn the_default_model_agrees_with_transformers() {
    let Some(path) = crate::test_models::find(crate::test_models::TEXT_MODEL) else {
        return;
    };
    let decoder = Decoder::from_gguf(&ModelFile::open(&path).unwrap(), &Device::Cpu).unwrap();
    let reference: Answers = serde_json::from_str(TRANSFORMERS).unwrap();
    assert!(reference.answers.len() >= 20);
    let (mut places, mut same, mut compared, mut most) = (0, 0, 0, 0f32);
    for answer in &reference.answers {
        let tokens = [answer.tokens.as_slice(), &answer.greedy].concat();
        let hidden = decoder
            .hidden(&mut [Part::new(&tokens, &mut decoder.new_cache(usize::MAX), 0)])
            .unwrap();
        let hidden = decoder.output_norm.forward(&hidden).unwrap();
        let logits = decoder
            .output
            .forward(&hidden)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        let first = answer.tokens.len() - 1;
        for (index, expected) in &answer.logits {
            let difference = (logits[first][*index] - expected).abs();
            assert!(difference <= 0.01, "{}: {difference}", answer.question);
            most = most.max(difference);
            compared += 1;
        }
        for (place, expected) in (first..).zip(&answer.greedy) {
            same += usize::from(greatest(&logits[place]) == *expected);
            places += 1;
        }
    }
    eprintln!("greatest difference of {compared} logits: {most}; {same} of {places} choices");
    assert!(compared >= 3000 && places >= 300);
    assert!(same * 100 >= places * 99, "{same} of {places}");
}

#[test]
fn rotary_factors_and_linear_scaling_are_applied() {
    let mut model = TinyModel::new("llama");
    let plain = logits(&load(&model).unwrap(), &[&TOKENS]);
    model.set(
        "llama.rope.scaling.type",
        Value::String("linear".to_owned()),
    );
    model.set("llama.rope.scaling.factor", Value::F32(4.0));
    let factors = Tensor::new(&[1.0f32, 2.0, 3.0, 8.0], &Device::Cpu).unwrap();
    model.set_tensor("rope_freqs.weight", factors);
    let scaled = logits(&load(&model).unwrap(), &[&TOKENS]);
    let expected = Reference::new(&model, "llama").logits(&TOKENS);
    assert_close(&scaled, &expected, 1e-3);
    assert_ne!(plain, scaled);
}

#[test]
fn chunks_and_single_tokens_give_what_one_pass_gives() {
    let decoder = load(&TinyModel::new("llama")).unwrap();
    let tokens: Vec<u32> = (0..300).map(|index| index * 7 % 256).collect();
    let whole = logits(&decoder, &[&tokens]);
    let singles: Vec<&[u32]> = tokens.chunks(1).collect();
    assert_close(&logits(&decoder, &singles), &whole, 1e-3);
    let chunks: Vec<&[u32]> = tokens.chunks(97).collect();
    assert_close(&logits(&decoder, &chunks), &whole, 1e-3);
}

#[test]
fn quantised_files_are_read() {
    let model = TinyModel::new("llama");
    let exact = logits(&load(&model).unwrap(), &[&TOKENS]);
    for dtype in [
        GgmlDType::F16,
        GgmlDType::BF16,
        GgmlDType::Q8_0,
        GgmlDType::Q5_1,
        GgmlDType::Q4_1,
    ] {
        let quantised = logits(&load_as(&model, dtype).unwrap(), &[&TOKENS]);
        let dot: f32 = quantised
            .iter()
            .zip(&exact)
            .map(|(left, right)| left * right)
            .sum();
        let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
        let cosine = dot / norm(&quantised) / norm(&exact);
        assert!(cosine > 0.95, "{dtype:?}: {cosine}");
    }
}

#[test]
fn a_context_holds_what_it_says_and_no_more() {
    let decoder = load(&TinyModel::new("llama")).unwrap();
    let mut cache = decoder.new_cache(usize::MAX);
    decoder
        .read(&vec![1; tiny::CONTEXT - 1], &mut cache)
        .unwrap();
    assert!(decoder.read(&[1, 2], &mut cache).is_err());
    decoder.forward(&[1], &mut cache).unwrap();
    assert!(decoder.forward(&[1], &mut cache).is_err());
    assert!(decoder.read(&[], &mut cache).is_err());
}

#[test]
fn a_sliding_window_limits_the_context() {
    let mut model = TinyModel::new("llama");
    model.set("llama.attention.sliding_window", Value::U32(64));
    assert_eq!(load(&model).unwrap().config().context_length, 64);
}

fn tensor_error(model: &TinyModel, name: &str) -> String {
    match load(model) {
        Err(Error::BadTensor {
            tensor, problem, ..
        }) => {
            assert_eq!(tensor, name);
            problem
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn missing_misshapen_and_unknown_tensors_are_named() {
    for name in [
        "token_embd.weight",
        "output_norm.weight",
        "blk.1.ffn_up.weight",
        "blk.0.attn_k.weight",
    ] {
        let mut model = TinyModel::new("llama");
        model.remove_tensor(name);
        assert_eq!(tensor_error(&model, name), "it is missing");
        let wrong = model.random(&[3, 5], 1.0);
        model.set_tensor(name, wrong);
        tensor_error(
            &model,
            if name == "token_embd.weight" {
                "token_embd.weight"
            } else {
                name
            },
        );
    }
    let mut model = TinyModel::new("llama");
    let extra = model.random(&[4], 1.0);
    model.set_tensor("blk.0.mystery.weight", extra);
    assert!(tensor_error(&model, "blk.0.mystery.weight").contains("no model"));
}

#[test]
fn values_that_are_no_numbers_are_named() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut model = TinyModel::new("llama");
        let mut values = vec![0.5f32; tiny::HIDDEN];
        values[7] = bad;
        model.set_tensor(
            "blk.1.attn_norm.weight",
            Tensor::new(values, &Device::Cpu).unwrap(),
        );
        assert!(tensor_error(&model, "blk.1.attn_norm.weight").contains("finite"));
    }
}

#[test]
fn a_bias_on_some_of_the_joined_matrices_is_named() {
    let mut model = TinyModel::new("qwen2");
    model.remove_tensor("blk.0.attn_k.bias");
    assert!(tensor_error(&model, "blk.0.attn_q").contains("bias"));
}

#[test]
fn other_architectures_are_named_with_the_supported_ones() {
    let mut model = TinyModel::new("llama");
    model.set("general.architecture", Value::String("mamba".to_owned()));
    let error = load(&model).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { found, .. } if found == "mamba"));
    assert!(error.to_string().contains("qwen3"), "{error}");
}

#[test]
fn what_the_metadata_asks_for_and_cannot_be_done_is_an_error() {
    let cases = [
        ("llama.expert_count", Value::U32(8)),
        ("llama.rope.scaling.type", Value::String("yarn".to_owned())),
        ("llama.rope.dimension_count", Value::U32(4)),
        ("llama.attention.value_length", Value::U32(4)),
    ];
    for (key, value) in cases {
        let mut model = TinyModel::new("llama");
        model.set(key, value);
        assert!(
            matches!(load(&model), Err(Error::Unsupported { .. })),
            "{key}"
        );
    }
}

#[test]
fn shapes_that_cannot_be_are_errors() {
    let cases = [
        ("llama.attention.head_count", Value::U32(0)),
        ("llama.attention.head_count_kv", Value::U32(3)),
        ("llama.attention.head_count_kv", Value::U32(0)),
        ("llama.attention.key_length", Value::U32(7)),
        ("llama.block_count", Value::U64(u64::MAX)),
        ("llama.block_count", Value::String("two".to_owned())),
        ("llama.embedding_length", Value::I32(-1)),
        ("llama.context_length", Value::U32(0)),
        ("llama.rope.freq_base", Value::F32(f32::NAN)),
        ("llama.rope.freq_base", Value::F32(-1.0)),
        ("llama.attention.scale", Value::F32(-1.0)),
        ("llama.final_logit_softcapping", Value::F32(-1.0)),
    ];
    for (key, value) in cases {
        let mut model = TinyModel::new("llama");
        model.set(key, value);
        let error = load(&model).unwrap_err();
        assert!(matches!(error, Error::BadModel { .. }), "{key}: {error:?}");
    }
    let mut model = TinyModel::new("llama");
    model.set("llama.block_count", Value::U32(1 << 30));
    assert!(matches!(load(&model), Err(Error::BadTensor { .. })));
}

/// Everything from its formula, one token after the other.
struct Reference {
    tensors: HashMap<String, Vec<Vec<f64>>>,
    heads_apart: bool,
    head_dim: usize,
    scale: f64,
}

type Row = Vec<f64>;

impl Reference {
    fn new(model: &TinyModel, architecture: &str) -> Self {
        let rows = |tensor: &Tensor| -> Vec<Row> {
            let tensor = if tensor.rank() == 1 {
                tensor.unsqueeze(0).unwrap()
            } else {
                tensor.clone()
            };
            let rows = tensor.to_vec2::<f32>().unwrap();
            rows.iter()
                .map(|row| row.iter().map(|value| f64::from(*value)).collect())
                .collect()
        };
        let has_scale = model
            .metadata
            .iter()
            .any(|(key, _)| key.ends_with("scaling.factor"));
        Self {
            tensors: model
                .tensors
                .iter()
                .map(|(name, tensor)| (name.clone(), rows(tensor)))
                .collect(),
            heads_apart: architecture != "llama",
            head_dim: TinyModel::head_dim(architecture),
            scale: if has_scale { 4.0 } else { 1.0 },
        }
    }

    fn logits(&self, tokens: &[u32]) -> Vec<f32> {
        let mut states: Vec<Row> = tokens
            .iter()
            .map(|token| self.tensors["token_embd.weight"][*token as usize].clone())
            .collect();
        for block in 0..tiny::BLOCKS {
            let name = |part: &str| format!("blk.{block}.{part}");
            let normed: Vec<Row> = states
                .iter()
                .map(|state| self.norm(&name("attn_norm.weight"), state))
                .collect();
            let mixed = self.attention(&name, &normed);
            for (state, mixed) in states.iter_mut().zip(mixed) {
                add(state, &self.map(&name("attn_output"), &mixed));
                let normed = self.norm(&name("ffn_norm.weight"), state);
                let gate = self.map(&name("ffn_gate"), &normed);
                let up = self.map(&name("ffn_up"), &normed);
                let inner: Row = gate
                    .iter()
                    .zip(up)
                    .map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up)
                    .collect();
                add(state, &self.map(&name("ffn_down"), &inner));
            }
        }
        let last = self.norm("output_norm.weight", states.last().unwrap());
        let output = if self.tensors.contains_key("output.weight") {
            "output"
        } else {
            "token_embd"
        };
        self.map(output, &last)
            .into_iter()
            .map(|logit| logit as f32)
            .collect()
    }

    fn attention(&self, name: &dyn Fn(&str) -> String, states: &[Row]) -> Vec<Row> {
        let heads = |part: &str, rotate: bool| -> Vec<Vec<Row>> {
            let tokens = states.iter().enumerate();
            tokens
                .map(|(position, state)| {
                    let row = self.map(&name(part), state);
                    let heads = row.chunks(self.head_dim).map(<[f64]>::to_vec);
                    heads
                        .map(|head| {
                            let norm = name(&format!("{part}_norm.weight"));
                            let has_norm = rotate && self.tensors.contains_key(&norm);
                            let head = if has_norm {
                                self.norm(&norm, &head)
                            } else {
                                head
                            };
                            if rotate {
                                self.rotate(&head, position)
                            } else {
                                head
                            }
                        })
                        .collect()
                })
                .collect()
        };
        let (queries, keys, values) = (
            heads("attn_q", true),
            heads("attn_k", true),
            heads("attn_v", false),
        );
        let group = tiny::HEADS / tiny::KV_HEADS;
        let mix = |position: usize, head: usize| -> Row {
            let shared = head / group;
            let scores: Row = (0..=position)
                .map(|other| {
                    dot(&queries[position][head], &keys[other][shared])
                        / (self.head_dim as f64).sqrt()
                })
                .map(f64::exp)
                .collect();
            let sum: f64 = scores.iter().sum();
            let mut mixed = vec![0.0; self.head_dim];
            for (other, score) in scores.iter().enumerate() {
                let weighted: Row = values[other][shared]
                    .iter()
                    .map(|value| value * score / sum)
                    .collect();
                add(&mut mixed, &weighted);
            }
            mixed
        };
        (0..states.len())
            .map(|position| {
                (0..tiny::HEADS)
                    .flat_map(|head| mix(position, head))
                    .collect()
            })
            .collect()
    }

    fn rotate(&self, head: &[f64], position: usize) -> Row {
        let pairs = self.head_dim / 2;
        let mut rotated = head.to_vec();
        for pair in 0..pairs {
            let factor = self
                .tensors
                .get("rope_freqs.weight")
                .map_or(1.0, |rows| rows[0][pair]);
            let frequency =
                10_000f64.powf(-2.0 * pair as f64 / self.head_dim as f64) / factor / self.scale;
            let (sine, cosine) = (position as f64 * frequency).sin_cos();
            let (one, other) = if self.heads_apart {
                (pair, pair + pairs)
            } else {
                (2 * pair, 2 * pair + 1)
            };
            rotated[one] = head[one] * cosine - head[other] * sine;
            rotated[other] = head[one] * sine + head[other] * cosine;
        }
        rotated
    }

    fn norm(&self, name: &str, row: &[f64]) -> Row {
        let mean = dot(row, row) / row.len() as f64;
        let scale = &self.tensors[name][0];
        row.iter()
            .zip(scale)
            .map(|(value, scale)| value / (mean + 1e-5).sqrt() * scale)
            .collect()
    }

    fn map(&self, name: &str, input: &[f64]) -> Row {
        let mut output: Row = self.tensors[&format!("{name}.weight")]
            .iter()
            .map(|row| dot(row, input))
            .collect();
        if let Some(bias) = self.tensors.get(&format!("{name}.bias")) {
            add(&mut output, &bias[0]);
        }
        output
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

fn add(row: &mut [f64], other: &[f64]) {
    for (value, other) in row.iter_mut().zip(other) {
        *value += other;
    }
}
