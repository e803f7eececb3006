//! Both decoders against transformers, over small models of architectures whose weights no test can
//! download, with made-up weights.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::quantized::gguf_file::Value;
use longtrainer_kernels::Team;
use serde::Deserialize;

use super::*;
use crate::engine::LanguageModel as _;
use crate::kernel_decoder::KernelDecoder;
use crate::tiny::TinyModel;

/// Written by `scripts/reference/decoders.py`.
const TRANSFORMERS: &str = include_str!("../../tests/data/decoders.json");

#[derive(Deserialize)]
struct Case {
    name: String,
    metadata: HashMap<String, Entry>,
    /// Name, dimensions, and the size and shift of the values.
    tensors: Vec<(String, Vec<usize>, f32, f32)>,
    #[serde(default)]
    factors: HashMap<String, Vec<f32>>,
    tokens: Vec<u32>,
    /// After the tokens at some places.
    logits: Vec<(usize, Vec<f32>)>,
    greedy: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Whole(u32),
    Real(f32),
    Text(String),
}

impl Case {
    fn model(&self) -> TinyModel {
        let mut model = TinyModel::empty();
        for (key, entry) in &self.metadata {
            let value = match entry {
                Entry::Whole(number) => Value::U32(*number),
                Entry::Real(number) => Value::F32(*number),
                Entry::Text(text) => Value::String(text.clone()),
            };
            model.set(key, value);
        }
        for (name, dims, size, shift) in &self.tensors {
            let values = values(name, dims.iter().product(), *size, *shift);
            let tensor = Tensor::from_vec(values, dims.as_slice(), &Device::Cpu).unwrap();
            model.set_tensor(name, tensor);
        }
        for (name, factors) in &self.factors {
            let tensor = Tensor::new(factors.as_slice(), &Device::Cpu).unwrap();
            model.set_tensor(name, tensor);
        }
        model
    }

    fn file(&self) -> ModelFile {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made-up.gguf");
        self.model().write(&path);
        ModelFile::open(&path).unwrap()
    }

    /// Compares logits, in parts of the greatest, and the tokens chosen greedily.
    fn check(&self, tolerance: f32, mut logits: impl FnMut(&[u32]) -> Vec<f32>) {
        let all = logits(&self.tokens);
        let width = all.len() / self.tokens.len();
        let mut most = 0f32;
        for (place, expected) in &self.logits {
            let found = &all[place * width..(place + 1) * width];
            let greatest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
            for (found, expected) in found.iter().zip(expected) {
                most = most.max((found - expected).abs() / greatest);
            }
        }
        assert!(most <= tolerance, "{}: {most}", self.name);
        let mut last = all[all.len() - width..].to_vec();
        for (number, expected) in self.greedy.iter().enumerate() {
            let chosen = (0u32..).zip(&last).max_by(|a, b| a.1.total_cmp(b.1));
            let chosen = chosen.unwrap().0;
            assert_eq!(chosen, *expected, "{}, token {number}", self.name);
            last = logits(&[chosen]);
        }
        eprintln!("{}: within {most} of the greatest logit", self.name);
    }
}

/// As the script makes them.
fn values(name: &str, count: usize, size: f32, shift: f32) -> Vec<f32> {
    let mut state = 0xCBF2_9CE4_8422_2325_u64;
    for byte in name.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    }
    let numbers = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * size + shift
    });
    numbers.take(count).collect()
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = serde_json::from_str(TRANSFORMERS).unwrap();
    assert_eq!(cases.len(), 6);
    cases
}

#[test]
fn over_candle_they_give_what_transformers_gives() {
    for case in cases() {
        let decoder = Decoder::from_gguf(&case.file(), &Device::Cpu).unwrap();
        let mut cache = decoder.new_cache(case.tokens.len() + case.greedy.len());
        case.check(1e-4, |tokens| {
            decoder.logits(tokens, &mut cache, 0).unwrap()
        });
    }
}

/// Keys and values are rounded to half precision here.
#[test]
fn over_our_kernels_they_give_what_transformers_gives() {
    for case in cases() {
        // Its scores are capped, which no kernel does.
        if case.name == "gemma2" {
            continue;
        }
        let decoder = KernelDecoder::from_gguf(&case.file(), Arc::new(Team::alone())).unwrap();
        let mut cache = decoder.new_cache(case.tokens.len() + case.greedy.len());
        case.check(2e-3, |tokens| {
            decoder.step_one(tokens, &mut cache, tokens.len()).unwrap()
        });
    }
}
