//! Walks through grammars with tokens chosen at random from the masks.

#[path = "../../../tests/support/schemas.rs"]
mod schemas_support;

mod bad;
mod kinds;
mod schemas;

use std::sync::OnceLock;

use candle_core::quantized::gguf_file::Value as GgufValue;

use super::*;
use crate::model_file::ModelFile;
use crate::tiny::TinyModel;
use schemas_support::SchemaMaker;

/// Tokens after which a walk looks for its end.
const LONG: usize = 150;
/// Tokens of a walk that did not find it.
const TOO_LONG: usize = 3000;

/// A tokenizer of all bytes and some pieces of JSON, one of which an answer cannot use whole.
pub(super) fn tokenizer() -> &'static GgufTokenizer {
    static TOKENIZER: OnceLock<GgufTokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tiny.gguf");
        let mut model = TinyModel::new("llama");
        add_pieces(
            &mut model,
            &[
                "{\"", "\":", "Ġ\"", "\",", "],", "true", "null", "12", "}}", "ll",
            ],
        );
        model.write(&path);
        GgufTokenizer::from_gguf("tiny", &ModelFile::open(&path).unwrap()).unwrap()
    })
}

/// Adds tokens before the two control tokens at the end, with merges from the left.
fn add_pieces(model: &mut TinyModel, pieces: &[&str]) {
    let array = |model: &TinyModel, key: &str| {
        let found = model.metadata.iter().find(|(name, _)| name == key);
        match &found.unwrap().1 {
            GgufValue::Array(values) => values.clone(),
            other => panic!("{key}: {other:?}"),
        }
    };
    let mut tokens = array(model, "tokenizer.ggml.tokens");
    let mut merges = array(model, "tokenizer.ggml.merges");
    let mut kinds = array(model, "tokenizer.ggml.token_type");
    let mut known: Vec<String> = Vec::new();
    for piece in pieces {
        let characters: Vec<char> = piece.chars().collect();
        for end in 2..=characters.len() {
            let (left, right) = characters[..end].split_at(end - 1);
            let (left, right) = (String::from_iter(left), String::from_iter(right));
            let whole = format!("{left}{right}");
            if !known.contains(&whole) {
                merges.push(GgufValue::String(format!("{left} {right}")));
                known.push(whole);
            }
        }
    }
    let before_controls = tokens.len() - 2;
    for piece in known {
        tokens.insert(before_controls, GgufValue::String(piece));
        kinds.insert(before_controls, GgufValue::I32(1));
    }
    let end = GgufValue::U32(tokens.len() as u32 - 1);
    model.set("tokenizer.ggml.tokens", GgufValue::Array(tokens));
    model.set("tokenizer.ggml.merges", GgufValue::Array(merges));
    model.set("tokenizer.ggml.token_type", GgufValue::Array(kinds));
    model.set("tokenizer.ggml.eos_token_id", end);
    model.remove("tokenizer.ggml.bos_token_id");
}

fn factory() -> &'static GuideFactory {
    static FACTORY: OnceLock<GuideFactory> = OnceLock::new();
    FACTORY.get_or_init(|| GuideFactory::new(tokenizer()).unwrap())
}

/// The text of a random walk from the beginning to the end of a grammar.
fn walk(grammar: &Grammar, random: &mut SchemaMaker) -> String {
    let mut guide = factory().compile(grammar).unwrap();
    let mut text = Vec::new();
    for step in 0..TOO_LONG {
        let forced = guide.forced();
        let mask = guide.mask().unwrap().clone();
        if let Some(first) = forced.first() {
            assert!(
                mask.allows(*first),
                "{grammar:?} at {:?}",
                String::from_utf8_lossy(&text)
            );
        }
        let may_end = mask.tokens().any(|token| tokenizer().is_end(token));
        assert_eq!(guide.is_accepting(), may_end);
        if guide.is_finished() {
            assert!(mask.tokens().all(|token| tokenizer().is_end(token)));
        }
        let token = pick(&mask, step, random);
        guide.accept(token).unwrap();
        if tokenizer().is_end(token) {
            assert!(guide.is_finished());
            return String::from_utf8(text).unwrap();
        }
        let bytes = tokenizer().token_bytes(token);
        assert!(!bytes.is_empty(), "a control token is no text");
        text.extend(bytes);
    }
    panic!("no end: {grammar:?}: {}", String::from_utf8_lossy(&text));
}

/// Any token at first; after a while, one that leads to the end if there is one.
fn pick(mask: &TokenMask, step: usize, random: &mut SchemaMaker) -> u32 {
    let tokens: Vec<u32> = mask.tokens().collect();
    let closes = |token: &&u32| {
        let closers: [&[u8]; 6] = [b"\"", b"}", b"]", b"}}", b"n", b"e"];
        tokenizer().is_end(**token) || closers.contains(&tokenizer().token_bytes(**token))
    };
    let closers: Vec<u32> = tokens.iter().filter(closes).copied().collect();
    if step > LONG && !closers.is_empty() {
        return closers[random.below(closers.len())];
    }
    tokens[random.below(tokens.len())]
}

use crate::sampling::TokenMask;
