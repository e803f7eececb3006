//! The decoder over our kernels against the one over Candle, which runs the same weights in f32, and
//! against transformers.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use longtrainer_kernels::{BlockFormat, QuantisedMatrix};

use super::*;
use crate::Error;
use crate::decoder::Decoder;
use crate::engine::LanguageModel as _;
use crate::tiny::{self, TinyModel};

const TOKENS: [u32; 9] = [258, 72, 101, 3, 256, 257, 200, 72, 259];

/// Those that the kernels run.
const ARCHITECTURES: [&str; 6] = ["llama", "qwen2", "qwen3", "gemma", "gemma3", "phi3"];

fn open(model: &TinyModel, dtype: GgmlDType) -> ModelFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    model.write_as(&path, dtype);
    ModelFile::open(&path).unwrap()
}

fn obstacle(file: &ModelFile) -> Option<String> {
    KernelDecoder::obstacle(file, &DecoderConfig::from_gguf(file).unwrap())
}

fn load(file: &ModelFile) -> Result<KernelDecoder> {
    KernelDecoder::from_gguf(file, Arc::new(Team::alone()))
}

fn logits(decoder: &KernelDecoder, chunks: &[&[u32]]) -> Vec<f32> {
    let mut cache = decoder.new_cache(usize::MAX);
    let (last, before) = chunks.split_last().unwrap();
    for chunk in before {
        decoder.step_one(chunk, &mut cache, 0).unwrap();
    }
    decoder.step_one(last, &mut cache, 1).unwrap()
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let dot =
        |left: &[f32], right: &[f32]| -> f32 { left.iter().zip(right).map(|(l, r)| l * r).sum() };
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[test]
fn unrounded_weights_give_what_candle_gives() {
    for architecture in ARCHITECTURES {
        let file = open(&TinyModel::new(architecture), GgmlDType::F32);
        let found = logits(&load(&file).unwrap(), &[&TOKENS]);
        let candle = Decoder::from_gguf(&file, &Device::Cpu).unwrap();
        let expected = candle
            .forward(&TOKENS, &mut candle.new_cache(usize::MAX))
            .unwrap();
        // Keys and values are rounded to half precision here.
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 2e-3,
                "{architecture}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn every_architecture_and_type_agrees_with_candle() {
    for architecture in ARCHITECTURES {
        for dtype in [
            GgmlDType::Q4_0,
            GgmlDType::Q4_1,
            GgmlDType::Q5_0,
            GgmlDType::Q5_1,
            GgmlDType::Q8_0,
            GgmlDType::F16,
            GgmlDType::BF16,
        ] {
            let file = open(&TinyModel::new(architecture), dtype);
            assert_eq!(obstacle(&file), None);
            let found = logits(&load(&file).unwrap(), &[&TOKENS]);
            let candle = Decoder::from_gguf(&file, &Device::Cpu).unwrap();
            let expected = candle
                .forward(&TOKENS, &mut candle.new_cache(usize::MAX))
                .unwrap();
            let cosine = cosine(&found, &expected);
            assert!(cosine > 0.9995, "{architecture} {dtype:?}: {cosine}");
        }
    }
}

#[test]
fn a_context_holds_what_it_says_and_no_more() {
    let decoder = load(&open(&TinyModel::new("llama"), GgmlDType::Q4_1)).unwrap();
    let mut cache = decoder.new_cache(usize::MAX);
    decoder
        .step_one(&vec![1; tiny::CONTEXT - 1], &mut cache, 0)
        .unwrap();
    assert!(decoder.step_one(&[1, 2], &mut cache, 0).is_err());
    decoder.step_one(&[1], &mut cache, 1).unwrap();
    assert!(decoder.step_one(&[1], &mut cache, 1).is_err());
    assert!(decoder.step_one(&[], &mut cache, 0).is_err());
}

#[test]
fn a_step_that_fails_leaves_the_cache_as_it_was() {
    let decoder = load(&open(&TinyModel::new("llama"), GgmlDType::Q4_1)).unwrap();
    let mut cache = decoder.new_cache(usize::MAX);
    decoder.step_one(&TOKENS[..4], &mut cache, 0).unwrap();
    assert!(decoder.step_one(&[u32::MAX], &mut cache, 0).is_err());
    let found = decoder.step_one(&TOKENS[4..], &mut cache, 1).unwrap();
    assert_eq!(found, logits(&decoder, &[&TOKENS[..4], &TOKENS[4..]]));
}

#[test]
fn types_without_a_kernel_are_told() {
    let mut model = TinyModel::new("llama");
    let file = open(&model, GgmlDType::Q4_1);
    assert_eq!(obstacle(&file), None);
    model.set_tensor(
        "extra.weight",
        Tensor::zeros((2, 32), candle_core::DType::F32, &Device::Cpu).unwrap(),
    );
    match load(&open(&model, GgmlDType::Q4_1)) {
        Err(Error::BadTensor { tensor, .. }) => assert_eq!(tensor, "extra.weight"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn softly_capped_scores_are_left_to_candle() {
    let file = open(&TinyModel::new("gemma2"), GgmlDType::F32);
    assert!(obstacle(&file).is_some());
    assert!(matches!(load(&file), Err(Error::Unsupported { .. })));
    Decoder::from_gguf(&file, &Device::Cpu).unwrap();
}

/// Our reading of the block formats against Candle's. Scales of K formats are rounded to half
/// precision once more.
#[test]
fn block_formats_are_read_as_candle_reads_them() {
    let team = Team::alone();
    let values = Tensor::randn(0f32, 0.05, (37, 512), &Device::Cpu).unwrap();
    for (dtype, format, tolerance) in [
        (GgmlDType::Q4_0, BlockFormat::Q4_0, 1e-6),
        (GgmlDType::Q4_1, BlockFormat::Q4_1, 1e-6),
        (GgmlDType::Q5_0, BlockFormat::Q5_0, 1e-6),
        (GgmlDType::Q5_1, BlockFormat::Q5_1, 1e-6),
        (GgmlDType::Q8_0, BlockFormat::Q8_0, 1e-6),
        (GgmlDType::Q4K, BlockFormat::Q4_K, 2e-4),
        (GgmlDType::Q5K, BlockFormat::Q5_K, 2e-4),
        (GgmlDType::Q6K, BlockFormat::Q6_K, 2e-4),
    ] {
        let tensor = QTensor::quantize(&values, dtype).unwrap();
        let expected = tensor
            .dequantize(&Device::Cpu)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        let bytes = tensor.data().unwrap();
        let matrix = QuantisedMatrix::pack(&team, format, &bytes, 37, 512).unwrap();
        let mut row = vec![0.0; 512];
        for (index, expected) in expected.iter().enumerate() {
            matrix.row(index, &mut row).unwrap();
            for (found, expected) in row.iter().zip(expected) {
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{dtype:?}: {found}, not {expected}"
                );
            }
        }
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
    tokens: Vec<u32>,
    greedy: Vec<u32>,
}

/// The greedy choice of transformers on the dequantised weights at 95 of 100 places, given the
/// choices before: activations are rounded to bytes here, and where two tokens are nearly as likely
/// that decides.
#[test]
fn the_default_model_chooses_as_transformers_does() {
    let Some(path) = crate::test_models::find(crate::test_models::TEXT_MODEL) else {
        return;
    };
    let decoder = load(&ModelFile::open(&path).unwrap()).unwrap();
    let reference: Answers = serde_json::from_str(TRANSFORMERS).unwrap();
    let (mut places, mut same) = (0, 0);
    for answer in &reference.answers {
        let tokens = [answer.tokens.as_slice(), &answer.greedy].concat();
        let first = answer.tokens.len() - 1;
        let logits = decoder
            .step_one(
                &tokens,
                &mut decoder.new_cache(usize::MAX),
                tokens.len() - first,
            )
            .unwrap();
        for (row, expected) in logits
            .chunks_exact(decoder.config.vocabulary)
            .zip(&answer.greedy)
        {
            let choice = (0u32..)
                .zip(row)
                .max_by(|left, right| left.1.total_cmp(right.1))
                .unwrap()
                .0;
            same += usize::from(choice == *expected);
            places += 1;
        }
    }
    eprintln!("{same} of {places} choices");
    assert!(
        places >= 300 && same * 100 >= places * 95,
        "{same} of {places}"
    );
}
