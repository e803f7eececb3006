//! Prompts that are ready, and adapters, through the engine.

use std::collections::HashMap;

use candle_core::quantized::GgmlDType;

use super::*;
use crate::adapter::tests::sample::Sample;
use crate::soft::SOFT_BASE;
use crate::tiny::{self, TinyModel};
use crate::{Adapter, Generation, Picture, Role};

fn load_model(model: &TinyModel) -> GgufTextModel {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    model.write(&path);
    GgufTextModel::load("tiny", &path, &TextModelOptions::default()).unwrap()
}

fn load() -> GgufTextModel {
    load_model(&TinyModel::new("llama"))
}

fn request() -> GenerateRequest {
    let mut request = GenerateRequest::new(vec![Message::new(Role::User, "Hello there")], 24);
    request.sampling.temperature = 1.2;
    request.sampling.seed = Some(5);
    request.sampling.repetition_penalty = 1.3;
    request.sampling.dry = Some(crate::Dry::default());
    request
}

fn collect(stream: TextStream) -> (String, Generation) {
    let mut text = String::new();
    for item in stream {
        match item.unwrap() {
            StreamItem::Text(piece) => text.push_str(&piece),
            StreamItem::Token(_) => (),
            StreamItem::Done(done) => return (text, done),
        }
    }
    panic!("the stream ended without an end");
}

fn ask(model: &GgufTextModel, adapter: Option<&Adapter>) -> (String, usize) {
    let request = GenerateRequest {
        adapter: adapter.cloned(),
        ..request()
    };
    let (text, done) = collect(model.generate(request).unwrap());
    (text, done.usage.cached_tokens)
}

fn submit(
    model: &GgufTextModel,
    prompt: &[u32],
    soft: &[SoftSpan],
) -> Result<(String, Generation)> {
    let checked = model.check(&request())?;
    let (events, receiver) = async_channel::unbounded();
    model.submit(checked, prompt.to_vec(), soft.to_vec(), events)?;
    Ok(collect(TextStream::new(receiver)))
}

/// A prompt, and the same with words as rows of numbers from `first` on.
fn prompts(model: &TinyModel, first: u32) -> (Vec<u32>, Vec<u32>, SoftSpan) {
    let (_, embedding) = &model.tensors[0];
    let embedding = embedding.to_vec2::<f32>().unwrap();
    let words: Vec<u32> = (0..300).map(|at| at * 11 % 251).collect();
    let mut soft = words.clone();
    let rows: Vec<f32> = words[120..184]
        .iter()
        .flat_map(|word| embedding[*word as usize].clone())
        .collect();
    for (token, number) in soft[120..184].iter_mut().zip(first..) {
        *token = number;
    }
    let rows = rows.into();
    (words, soft, SoftSpan { first, rows })
}

#[test]
fn rows_of_words_give_the_answer_to_the_words() {
    let tiny = TinyModel::new("llama");
    let model = load_model(&tiny);
    assert_eq!(model.hidden_width(), tiny::HIDDEN);
    let (words, soft, span) = prompts(&tiny, SOFT_BASE + 77);
    let mut plain = request();
    plain.sampling.repetition_penalty = 1.0;
    plain.sampling.dry = None;
    let answer = |prompt: &[u32], soft: &[SoftSpan]| {
        let (events, receiver) = async_channel::unbounded();
        let checked = model.check(&plain).unwrap();
        model
            .submit(checked, prompt.to_vec(), soft.to_vec(), events)
            .unwrap();
        let (text, done) = collect(TextStream::new(receiver));
        (text, done.usage.prompt_tokens, done.usage.cached_tokens)
    };
    let expected = answer(&words, &[]);
    let spans = std::slice::from_ref(&span);
    let found = answer(&soft, spans);
    assert_eq!((&found.0, found.1), (&expected.0, 300));
    assert_eq!(found.2, 120, "the words before the picture are known");
    assert_eq!(answer(&soft, spans), (expected.0.clone(), 300, 299));
    let (_, other, span) = prompts(&tiny, SOFT_BASE + 1000);
    let found = answer(&other, &[span]);
    assert_eq!(found, (expected.0, 300, 120), "another picture");
}

#[test]
fn repetition_is_penalised_beside_pictures() {
    let tiny = TinyModel::new("llama");
    let model = load_model(&tiny);
    let (_, soft, span) = prompts(&tiny, SOFT_BASE);
    let twice = [&soft[..250], &soft[..250]].concat();
    let (text, done) = submit(&model, &twice, std::slice::from_ref(&span)).unwrap();
    assert!(!text.is_empty() && done.usage.prompt_tokens == 500);
}

#[test]
fn a_prompt_that_cannot_be_read_is_refused_at_once() {
    let tiny = TinyModel::new("llama");
    let model = load_model(&tiny);
    let (_, soft, span) = prompts(&tiny, SOFT_BASE);
    let field = |result| match result {
        Err(Error::InvalidRequest { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(submit(&model, &soft, &[])), "prompt");
    assert_eq!(field(submit(&model, &[], &[])), "prompt");
    let narrow = SoftSpan {
        first: span.first,
        rows: span.rows[..31].into(),
    };
    assert_eq!(field(submit(&model, &soft, &[narrow])), "soft.rows");
    let long = submit(&model, &[1; tiny::CONTEXT], &[]);
    assert!(matches!(long, Err(Error::PromptTooLong { .. })), "{long:?}");
    assert!(submit(&model, &soft, &[span]).is_ok(), "the model lives on");
}

#[test]
fn pictures_are_refused() {
    let model = load();
    let mut request = request();
    let picture = Picture::new("a.png", vec![1, 2, 3]);
    request.messages[0].pictures.push(picture);
    for refused in [
        model.count_tokens(&request.messages, None).map(drop),
        model.generate(request).map(drop),
    ] {
        match refused {
            Err(Error::InvalidRequest { field, value, .. }) => {
                assert_eq!((field, value.as_str()), ("pictures", "1"));
            }
            other => panic!("{other:?}"),
        }
    }
}

fn adapter(seed: usize) -> (Sample, Adapter) {
    let sample = Sample::all("llama", 4, seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gguf");
    sample.write_gguf(&path, GgmlDType::F32);
    let adapter = Adapter::load("sample", &path).unwrap();
    (sample, adapter)
}

#[test]
fn keys_and_values_of_an_adapter_are_its_own() {
    let [(first_sample, first), (_, second)] = [adapter(1), adapter(2)];
    let half = first.with_scale(0.5).unwrap();
    let choices = [None, Some(&first), Some(&second), Some(&half)];
    let fresh = choices.map(|choice| ask(&load(), choice).0);
    let model = load();
    let found = choices.map(|choice| ask(&model, choice));
    for (found, fresh) in found.iter().zip(&fresh) {
        assert_eq!((&found.0, found.1), (fresh, 0), "nothing was shared");
    }
    for (choice, fresh) in choices.iter().zip(&fresh) {
        let (text, cached) = ask(&model, *choice);
        assert!(&text == fresh && cached > 0, "its own is found again");
    }
    assert_eq!(
        ask(&load_model(&first_sample.merged(1.0)), None).0,
        fresh[1]
    );
    let distinct: HashMap<&String, usize> = fresh.iter().zip(0..).collect();
    assert_eq!(distinct.len(), 4, "{fresh:?}");
}

#[test]
fn requests_with_other_adapters_run_side_by_side() {
    let [(_, first), (_, second)] = [adapter(1), adapter(2)];
    let choices = [
        None,
        Some(&first),
        None,
        Some(&second),
        Some(&first),
        Some(&second),
    ];
    let alone = choices.map(|choice| ask(&load(), choice).0);
    let model = load();
    let before = model.memory_bytes();
    let streams = choices.map(|choice| {
        let request = GenerateRequest {
            adapter: choice.cloned(),
            ..request()
        };
        model.generate(request).unwrap()
    });
    assert!(model.memory_bytes() > before, "adapters count");
    assert_eq!(streams.map(|stream| collect(stream).0), alone);
}

#[test]
fn an_adapter_that_does_not_fit_is_refused_at_once() {
    let sample = Sample::all("qwen3", 4, 1);
    let folder = tempfile::tempdir().unwrap();
    sample.write_peft(folder.path());
    let request = GenerateRequest {
        adapter: Some(Adapter::load("other", folder.path()).unwrap()),
        ..request()
    };
    let model = load();
    match model.generate(request) {
        Err(Error::AdapterMismatch { adapter, .. }) => assert_eq!(adapter, "other"),
        other => panic!("{other:?}"),
    }
    assert!(!ask(&model, None).0.is_empty());
}
