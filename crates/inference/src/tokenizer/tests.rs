//! Tokens against llama.cpp's, and vocabularies that cannot be.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;
use serde::Deserialize;

use super::*;
use crate::Error;
use crate::model_file::ModelFile;
use crate::test_models;
use crate::tiny::{self, TinyModel};

/// Written by `scripts/reference/tokens.py`.
const REFERENCE: &str = include_str!("../../tests/data/tokens.json");

/// Written by `scripts/reference/tokens.py`.
const SPM_REFERENCE: &str = include_str!("../../tests/data/spm.json");

/// Written by `scripts/reference/tokens.py`.
const SPM_KINDS: &str = include_str!("../../tests/data/spm_kinds.json");

#[derive(Deserialize)]
struct Entry {
    text: String,
    read: Vec<u32>,
    plain: Vec<u32>,
    #[serde(flatten)]
    other_rules: HashMap<String, Vec<u32>>,
}

/// Tokens that a vocabulary has besides, and texts.
#[derive(Deserialize)]
struct SpmKind {
    more: Vec<(String, i32)>,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct SpmReference {
    tokens: Vec<String>,
    kinds: Vec<i32>,
    scores: Vec<f32>,
    entries: Vec<Entry>,
}

fn tiny(change: impl FnOnce(&mut TinyModel)) -> Result<GgufTokenizer> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let mut model = TinyModel::new("llama");
    change(&mut model);
    model.write(&path);
    GgufTokenizer::from_gguf("tiny", &ModelFile::open(&path)?)
}

fn set(key: &'static str, value: Value) -> impl FnOnce(&mut TinyModel) {
    move |model| model.set(key, value)
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn the_default_model_is_tokenised_as_llama_cpp_does() {
    let Some(path) = test_models::find(test_models::TEXT_MODEL) else {
        return;
    };
    let tokenizer = GgufTokenizer::from_gguf("smollm2", &ModelFile::open(&path).unwrap()).unwrap();
    let entries: Vec<Entry> = serde_json::from_str(REFERENCE).unwrap();
    assert!(entries.len() >= 200);
    for Entry {
        text, read, plain, ..
    } in entries
    {
        assert_eq!(
            tokenizer.encode(&text, ControlTokens::Read).unwrap(),
            read,
            "{text:?}"
        );
        assert_eq!(
            tokenizer.encode(&text, ControlTokens::Plain).unwrap(),
            plain,
            "{text:?}"
        );
        let bytes: Vec<u8> = plain
            .iter()
            .flat_map(|token| tokenizer.token_bytes(*token))
            .copied()
            .collect();
        // The vocabulary has no token for this byte; llama.cpp leaves it out, too.
        let readable = text.replace('\u{1d}', "");
        assert_eq!(String::from_utf8_lossy(&bytes), readable, "{text:?}");
    }
}

#[test]
fn the_rules_of_other_models_cut_as_llama_cpp_does() {
    let Some(path) = test_models::find(test_models::TEXT_MODEL) else {
        return;
    };
    let entries: Vec<Entry> = serde_json::from_str(REFERENCE).unwrap();
    for rules in ["llama-bpe", "qwen2", "gpt-2", "gpt-4o"] {
        let mut file = ModelFile::open(&path).unwrap();
        file.set("tokenizer.ggml.pre", text(rules));
        let tokenizer = GgufTokenizer::from_gguf("other", &file).unwrap();
        for entry in &entries {
            let tokens = tokenizer.encode(&entry.text, ControlTokens::Plain).unwrap();
            assert_eq!(
                tokens, entry.other_rules[rules],
                "{rules}: {:?}",
                entry.text
            );
        }
    }
}

#[test]
fn a_sentencepiece_vocabulary_is_used_as_llama_cpp_does() {
    let reference: SpmReference = serde_json::from_str(SPM_REFERENCE).unwrap();
    let tokenizer = tiny(|model| set_spm(model, &reference)).unwrap();
    assert!(reference.entries.len() >= 200);
    check(&tokenizer, &reference.entries);
}

/// Gemma puts no space first, and Phi-3 drops white space after special tokens. Both have more kinds
/// of special tokens.
#[test]
fn the_vocabularies_of_gemma_and_phi_3_are_used_as_llama_cpp_does() {
    let kinds: HashMap<String, SpmKind> = serde_json::from_str(SPM_KINDS).unwrap();
    for architecture in ["gemma", "phi3"] {
        let SpmKind { more, entries } = &kinds[architecture];
        let mut vocabulary: SpmReference = serde_json::from_str(SPM_REFERENCE).unwrap();
        for (text, kind) in more {
            vocabulary.tokens.push(text.clone());
            vocabulary.kinds.push(*kind);
            vocabulary.scores.push(-1000.0);
        }
        let tokenizer = tiny(|model| {
            model.set("general.architecture", text(architecture));
            let space_first = Value::Bool(architecture != "gemma");
            model.set("tokenizer.ggml.add_space_prefix", space_first);
            set_spm(model, &vocabulary);
        });
        assert!(entries.len() >= 20);
        check(&tokenizer.unwrap(), entries);
    }
}

fn set_spm(model: &mut TinyModel, vocabulary: &SpmReference) {
    let strings = vocabulary.tokens.iter().map(|token| text(token)).collect();
    model.set("tokenizer.ggml.model", text("llama"));
    model.set("tokenizer.ggml.tokens", Value::Array(strings));
    let kinds = vocabulary.kinds.iter().map(|kind| Value::I32(*kind));
    model.set("tokenizer.ggml.token_type", Value::Array(kinds.collect()));
    let scores = vocabulary.scores.iter().map(|score| Value::F32(*score));
    model.set("tokenizer.ggml.scores", Value::Array(scores.collect()));
}

fn check(tokenizer: &GgufTokenizer, entries: &[Entry]) {
    for Entry {
        text, read, plain, ..
    } in entries
    {
        let found = tokenizer.encode(text, ControlTokens::Read).unwrap();
        assert_eq!(&found, read, "{text:?}");
        let found = tokenizer.encode(text, ControlTokens::Plain).unwrap();
        assert_eq!(&found, plain, "{text:?}");
    }
}

/// Some files of Gemma say that the end of a message is text.
#[test]
fn texts_that_steer_are_control_tokens_whatever_the_file_says() {
    let reference: SpmReference = serde_json::from_str(SPM_REFERENCE).unwrap();
    let tokenizer = tiny(|model| {
        let mut vocabulary = reference;
        vocabulary.tokens.push("<end_of_turn>".to_owned());
        vocabulary.kinds.push(4);
        vocabulary.scores.push(0.0);
        set_spm(model, &vocabulary);
    })
    .unwrap();
    let end = tokenizer.len() as u32 - 1;
    assert!(tokenizer.is_end(end) && tokenizer.token_bytes(end).is_empty());
    assert!(
        tokenizer
            .control_texts()
            .any(|text| text == "<end_of_turn>")
    );
    let plain = tokenizer
        .encode("<end_of_turn>", ControlTokens::Plain)
        .unwrap();
    assert!(!plain.contains(&end));
}

#[test]
fn merges_apply_and_control_tokens_are_read_only_on_request() {
    let tokenizer = tiny(|_| ()).unwrap();
    let read = tokenizer
        .encode("<|im_start|>hel", ControlTokens::Read)
        .unwrap();
    assert_eq!(read, [tiny::IM_START, 257]);
    let plain = tokenizer
        .encode("<|im_start|>hel", ControlTokens::Plain)
        .unwrap();
    assert_eq!(plain.len(), "<|im_start|>".len() + 1);
    assert_eq!(
        tokenizer.encode("", ControlTokens::Read).unwrap(),
        Vec::<u32>::new()
    );
}

#[test]
fn a_mark_keeps_a_control_token_from_being_read_and_leaves_no_trace() {
    let tokenizer = tiny(|_| ()).unwrap();
    let marked = tokenizer
        .encode_marked("<\u{FDD0}|im_end|>hel<|im_end|>", '\u{FDD0}')
        .unwrap();
    let mut expected = tokenizer
        .encode("<|im_end|>hel", ControlTokens::Plain)
        .unwrap();
    expected.push(tiny::IM_END);
    assert_eq!(marked, expected);
}

#[test]
fn the_end_is_known_by_id_and_by_name() {
    let tokenizer = tiny(set("tokenizer.ggml.eos_token_id", Value::U32(5))).unwrap();
    assert!(tokenizer.is_end(5) && tokenizer.is_end(tiny::IM_END));
    assert!(!tokenizer.is_end(tiny::IM_START) && !tokenizer.is_end(6));
    assert!(tokenizer.token_bytes(tiny::IM_END).is_empty());
    assert!(tokenizer.token_bytes(u32::MAX).is_empty());
}

#[test]
fn user_defined_tokens_are_read_from_any_text() {
    let kinds = (0..tiny::VOCABULARY).map(|id| Value::I32(if id >= 258 { 4 } else { 1 }));
    let tokenizer = tiny(set(
        "tokenizer.ggml.token_type",
        Value::Array(kinds.collect()),
    ))
    .unwrap();
    let tokens = tokenizer
        .encode("<|im_start|>", ControlTokens::Plain)
        .unwrap();
    assert_eq!(tokens, [tiny::IM_START]);
    assert_eq!(tokenizer.token_bytes(tiny::IM_START), b"<|im_start|>");
}

#[test]
fn every_known_pre_tokenizer_cuts_and_joins_again() {
    let sample = "Don't  stop 1234\n\n\tat ünïcode—日本語 'LL x";
    for name in pre_tokenizer::NAMES.split(", ") {
        let tokenizer = tiny(set("tokenizer.ggml.pre", text(name.trim()))).unwrap();
        let tokens = tokenizer.encode(sample, ControlTokens::Plain).unwrap();
        let bytes: Vec<u8> = tokens
            .iter()
            .flat_map(|token| tokenizer.token_bytes(*token))
            .copied()
            .collect();
        assert_eq!(bytes, sample.as_bytes(), "{name}");
    }
}

#[test]
fn unknown_tokenizers_and_pre_tokenizers_are_named() {
    for (key, name) in [
        ("tokenizer.ggml.model", "bert"),
        ("tokenizer.ggml.pre", "mystery"),
    ] {
        let error = tiny(set(key, text(name))).unwrap_err();
        assert!(
            matches!(&error, Error::Unsupported { found, .. } if found == name),
            "{error:?}"
        );
    }
}

#[test]
fn vocabularies_that_cannot_be_are_errors() {
    let empty = || Value::Array(Vec::new());
    let words = |words: &[&str]| Value::Array(words.iter().map(|word| text(word)).collect());
    let cases = [
        ("tokenizer.ggml.tokens", empty()),
        ("tokenizer.ggml.tokens", Value::U32(3)),
        (
            "tokenizer.ggml.token_type",
            Value::Array(vec![Value::I32(1)]),
        ),
        ("tokenizer.ggml.eos_token_id", Value::U32(100_000)),
        ("tokenizer.ggml.merges", words(&["nopair"])),
        ("tokenizer.ggml.merges", words(&["un known"])),
        ("tokenizer.ggml.add_bos_token", text("yes")),
    ];
    for (key, value) in cases {
        let error = tiny(set(key, value)).unwrap_err();
        assert!(
            matches!(error, Error::BadModel { .. } | Error::Tokenizer { .. }),
            "{key}: {error:?}"
        );
    }
}
