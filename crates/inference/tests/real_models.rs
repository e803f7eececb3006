//! The default models against sentence-transformers and transformers. Skipped with a message when
//! the weights are not on this machine; see `support/models.rs`.

// A test may panic, and so may what helps it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[allow(dead_code)]
#[path = "support/models.rs"]
mod models;

use longtrainer_inference::{
    BertEmbedder, Embedder, EmbedderOptions, FinishReason, GenerateRequest, GgufTextModel, Message,
    Precision, Role, StreamItem, TextModel, TextModelOptions,
};
use serde::Deserialize;

/// Written by `scripts/reference/embeddings.py`.
const VECTORS: &str = include_str!("data/embeddings.json");
/// Written by `scripts/reference/generation.py`.
const ANSWERS: &str = include_str!("data/generation.json");

#[derive(Deserialize)]
struct VectorEntry {
    text: String,
    /// Components in 32767ths.
    vector: Vec<i16>,
}

#[derive(Deserialize)]
struct Answers {
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    question: String,
    tokens: Vec<u32>,
    greedy: Vec<u32>,
    text: String,
}

fn embedder(precision: Precision) -> Option<BertEmbedder> {
    let folder = models::find(models::EMBEDDER)?;
    let options = EmbedderOptions {
        precision,
        ..Default::default()
    };
    Some(BertEmbedder::load("all-MiniLM-L6-v2", &folder, "", &options).unwrap())
}

fn text_model() -> Option<GgufTextModel> {
    let path = models::find(models::TEXT_MODEL)?;
    Some(GgufTextModel::load("smollm2", &path, &TextModelOptions::default()).unwrap())
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |left: &[f32], right: &[f32]| -> f64 {
        left.iter()
            .zip(right)
            .map(|(left, right)| f64::from(*left) * f64::from(*right))
            .sum()
    };
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

fn request(content: &str, max_tokens: usize) -> GenerateRequest {
    GenerateRequest::new(vec![Message::new(Role::User, content)], max_tokens)
}

fn collect(model: &GgufTextModel, request: GenerateRequest) -> (String, FinishReason) {
    let mut text = String::new();
    for item in model.generate(request).unwrap() {
        match item.unwrap() {
            StreamItem::Token(_) => (),
            StreamItem::Text(piece) => text.push_str(&piece),
            StreamItem::Done(done) => return (text, done.finish_reason),
        }
    }
    panic!("the stream ended without an end");
}

/// In f32 to within rounding; in the default precision to 0.9995.
#[test]
fn vectors_are_those_of_sentence_transformers() {
    for (precision, bar) in [(Precision::F32, 0.999_99), (Precision::default(), 0.9995)] {
        let Some(embedder) = embedder(precision) else {
            return;
        };
        let info = embedder.info();
        assert_eq!((info.dimension, info.max_tokens), (384, 256));
        let entries: Vec<VectorEntry> = serde_json::from_str(VECTORS).unwrap();
        assert!(entries.len() >= 60);
        let texts: Vec<&str> = entries.iter().map(|entry| entry.text.as_str()).collect();
        let vectors = embedder.embed(&texts).unwrap();
        let mut least = f64::INFINITY;
        for (entry, vector) in entries.iter().zip(&vectors) {
            let expected: Vec<f32> = entry.vector.iter().map(|part| f32::from(*part)).collect();
            let cosine = cosine(&expected, vector);
            assert!(cosine >= bar, "{precision:?}, {cosine}: {:?}", entry.text);
            least = least.min(cosine);
        }
        let count = entries.len();
        eprintln!("{precision:?}: least cosine of {count} texts: {least:.7}");
        check_company(&embedder, &texts, &vectors);
    }
}

/// A text's vector does not depend on which texts are embedded with it.
fn check_company(embedder: &BertEmbedder, texts: &[&str], vectors: &[Vec<f32>]) {
    for (index, text) in texts.iter().enumerate().step_by(9) {
        let alone = embedder.embed(&[text]).unwrap();
        let cosine = cosine(&alone[0], &vectors[index]);
        assert!(cosine >= 0.999_999, "{cosine}: {text:?}");
    }
    let reversed: Vec<&str> = texts.iter().rev().take(20).copied().collect();
    let reversed = embedder.embed(&reversed).unwrap();
    for (vector, other) in reversed.iter().zip(vectors.iter().rev()) {
        assert!(cosine(vector, other) >= 0.999_999);
    }
}

/// The whole way from the question to the text, with cache and streaming. Weights and activations
/// are rounded here and not in the reference, so an answer may turn off where two tokens are nearly
/// as likely; the choices place by place are compared by the decoder's own tests.
#[test]
fn greedy_answers_are_those_of_transformers() {
    let Some(model) = text_model() else { return };
    let reference: Answers = serde_json::from_str(ANSWERS).unwrap();
    for answer in &reference.answers {
        let messages = [Message::new(Role::User, answer.question.as_str())];
        let tokens = model.count_tokens(&messages, None).unwrap();
        assert_eq!(tokens, answer.tokens.len(), "{}", answer.question);
    }
    let mut equal = 0;
    let mut shared = 0;
    for answer in &reference.answers {
        let (text, _) = collect(&model, request(&answer.question, answer.greedy.len()));
        let same = text
            .bytes()
            .zip(answer.text.bytes())
            .take_while(|(ours, theirs)| ours == theirs);
        shared += same.count();
        equal += usize::from(text == answer.text);
    }
    let count = reference.answers.len();
    let length: usize = reference
        .answers
        .iter()
        .map(|answer| answer.text.len())
        .sum();
    eprintln!("{equal} of {count} answers equal; {shared} of {length} bytes before they turn off");
    assert!(equal * 3 >= count && shared * 2 >= length);
}

#[test]
fn an_answer_ends_by_itself_or_before_a_stop_string() {
    let Some(model) = text_model() else { return };
    let question = "How many days are in a week?";
    let (whole, reason) = collect(&model, request(question, 100));
    assert_eq!(reason, FinishReason::Stop);
    assert!(whole.contains("days"), "{whole}");
    let mut stopped = request(question, 100);
    stopped.stop = vec!["day".to_owned()];
    let (text, reason) = collect(&model, stopped);
    assert_eq!(
        (text.as_str(), reason),
        (&whole[..whole.find("day").unwrap()], FinishReason::Stop)
    );
}
