//! Formats whose blocks are longer than the rows of the smallest models, and texts longer than a
//! window, against the decoder over Candle.

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;

use super::*;
use crate::decoder::Decoder;
use crate::engine::LanguageModel as _;
use crate::tiny::TinyModel;

const WIDTH: usize = 256;
const BLOCKS: usize = 2;
const HEADS: usize = 8;
const KEYS: usize = 2 * WIDTH / HEADS;
const VOCABULARY: usize = 64;
const WINDOW: usize = 16;

/// A model whose rows are all one super-block wide.
pub(super) fn wide(architecture: &str) -> TinyModel {
    let mut model = TinyModel::empty();
    model.set(
        "general.architecture",
        Value::String(architecture.to_owned()),
    );
    for (key, size) in [
        ("block_count", BLOCKS),
        ("context_length", 512),
        ("embedding_length", WIDTH),
        ("feed_forward_length", WIDTH),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", 2),
        ("attention.sliding_window", WINDOW),
        ("attention.sliding_window_pattern", BLOCKS),
    ] {
        model.set(&format!("{architecture}.{key}"), Value::U32(size as u32));
    }
    let epsilon = format!("{architecture}.attention.layer_norm_rms_epsilon");
    model.set(&epsilon, Value::F32(1e-6));
    let mut add = |name: String, dims: &[usize], size: f32| {
        let tensor = model.random(dims, size);
        model.set_tensor(&name, tensor);
    };
    add("token_embd.weight".to_owned(), &[VOCABULARY, WIDTH], 0.2);
    add("output_norm.weight".to_owned(), &[WIDTH], 1.0);
    for block in 0..BLOCKS {
        let mut part = |name: &str, dims: &[usize]| {
            let size = if dims.len() == 1 { 1.0 } else { 0.1 };
            add(format!("blk.{block}.{name}.weight"), dims, size);
        };
        part("attn_norm", &[WIDTH]);
        part("ffn_norm", &[WIDTH]);
        part("attn_output", &[WIDTH, WIDTH]);
        part("ffn_down", &[WIDTH, WIDTH]);
        if architecture == "phi3" {
            part("attn_qkv", &[WIDTH + 2 * KEYS, WIDTH]);
            part("ffn_up", &[2 * WIDTH, WIDTH]);
            continue;
        }
        part("attn_q", &[WIDTH, WIDTH]);
        part("attn_k", &[KEYS, WIDTH]);
        part("attn_v", &[KEYS, WIDTH]);
        part("ffn_gate", &[WIDTH, WIDTH]);
        part("ffn_up", &[WIDTH, WIDTH]);
        part("attn_q_norm", &[WIDTH / HEADS]);
        part("attn_k_norm", &[WIDTH / HEADS]);
        part("post_attention_norm", &[WIDTH]);
        part("post_ffw_norm", &[WIDTH]);
    }
    model
}

/// Logits of all tokens of a text, read in one go or in two.
fn compare(architecture: &str, dtype: GgmlDType, first: usize, least: f32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.gguf");
    wide(architecture).write_as(&path, dtype);
    let file = ModelFile::open(&path).unwrap();
    let tokens: Vec<u32> = (0..100).map(|place| place * place % 61).collect();
    let decoder = KernelDecoder::from_gguf(&file, Arc::new(Team::new(2).unwrap())).unwrap();
    let mut cache = decoder.new_cache(usize::MAX);
    decoder.step_one(&tokens[..first], &mut cache, 0).unwrap();
    let rest = &tokens[first..];
    let found = decoder.step_one(rest, &mut cache, rest.len()).unwrap();
    let candle = Decoder::from_gguf(&file, &Device::Cpu).unwrap();
    let mut cache = candle.new_cache(usize::MAX);
    let expected = candle.logits(&tokens, &mut cache, first).unwrap();
    let dot = |left: &[f32], right: &[f32]| -> f32 {
        left.iter()
            .zip(right)
            .map(|(left, right)| left * right)
            .sum()
    };
    let cosine = dot(&found, &expected) / (dot(&found, &found) * dot(&expected, &expected)).sqrt();
    assert!(
        cosine > least,
        "{architecture} {dtype:?} from {first}: {cosine}"
    );
}

#[test]
fn every_format_agrees_with_candle_beyond_the_window() {
    for architecture in ["gemma3", "phi3"] {
        for dtype in [
            GgmlDType::Q4_0,
            GgmlDType::Q4_1,
            GgmlDType::Q5_0,
            GgmlDType::Q5_1,
            GgmlDType::Q8_0,
            GgmlDType::Q4K,
            GgmlDType::Q5K,
            GgmlDType::Q6K,
            GgmlDType::F16,
            GgmlDType::BF16,
        ] {
            compare(architecture, dtype, 50, 0.999);
        }
        // A single token, and the fewest that are shared out by positions.
        for first in [99, 97, 1] {
            compare(architecture, GgmlDType::F32, first, 0.99999);
        }
    }
}
