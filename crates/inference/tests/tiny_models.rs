//! Text models through the public door, with a few thousand random weights.

// A test may panic, and so may what helps it.
#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code)]
#[path = "support/tiny.rs"]
mod tiny;

use std::path::PathBuf;

use candle_core::quantized::gguf_file::Value;
use longtrainer_inference::{
    Error, FinishReason, GenerateRequest, GgufTextModel, Message, RawText, Role, Sampling,
    StreamItem, TextModel, TextModelOptions,
};
use tempfile::TempDir;
use tiny::TinyModel;

struct Sample {
    _folder: TempDir,
    path: PathBuf,
}

fn write(change: impl FnOnce(&mut TinyModel)) -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let mut model = TinyModel::new("llama");
    change(&mut model);
    model.write(&path);
    Sample {
        _folder: folder,
        path,
    }
}

fn load(options: &TextModelOptions) -> GgufTextModel {
    GgufTextModel::load("tiny", &write(|_| ()).path, options).unwrap()
}

fn request(content: &str) -> GenerateRequest {
    GenerateRequest::new(vec![Message::new(Role::User, content)], 20)
}

fn sampled(content: &str, seed: u64) -> GenerateRequest {
    GenerateRequest {
        sampling: Sampling {
            temperature: 1.5,
            top_k: Some(100),
            top_p: Some(0.95),
            min_p: Some(0.001),
            repetition_penalty: 1.1,
            seed: Some(seed),
            ..Sampling::default()
        },
        ..request(content)
    }
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

#[test]
fn a_seed_gives_one_answer_on_any_number_of_threads() {
    let answers = [None, Some(1), Some(2), Some(5)].map(|threads| {
        let options = TextModelOptions {
            threads,
            ..TextModelOptions::default()
        };
        collect(&load(&options), sampled("Hello there", 11))
    });
    for answer in &answers[1..] {
        assert_eq!(answer, &answers[0]);
    }
    let model = load(&TextModelOptions::default());
    assert_ne!(collect(&model, sampled("Hello there", 12)), answers[0]);
}

#[test]
fn every_architecture_answers_beyond_its_window() {
    for architecture in ["qwen3", "gemma", "gemma2", "gemma3", "phi3"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        TinyModel::new(architecture).write(&path);
        let model = GgufTextModel::load("tiny", &path, &TextModelOptions::default()).unwrap();
        assert_eq!(model.info().context_length, tiny::CONTEXT);
        let question = "word ".repeat(20);
        let answers = [0, 1].map(|_| collect(&model, sampled(&question, 3)));
        assert_eq!(answers[0], answers[1], "{architecture}");
        let (text, reason) = &answers[0];
        assert!(!text.is_empty() || *reason == FinishReason::Stop);
    }
}

#[test]
fn requests_side_by_side_get_what_they_get_alone() {
    let model = load(&TextModelOptions::default());
    let alone: Vec<_> = (0..6)
        .map(|seed| collect(&model, sampled("Hi", seed)))
        .collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..6)
            .map(|seed| {
                scope.spawn({
                    let model = &model;
                    move || collect(model, sampled("Hi", seed))
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    assert_eq!(alone, together);
}

#[test]
fn bad_requests_are_refused_at_once() {
    let model = load(&TextModelOptions::default());
    type Spoil = fn(&mut GenerateRequest);
    let cases: [(&str, Spoil); 6] = [
        ("messages", |request| request.messages.clear()),
        ("max_tokens", |request| request.max_tokens = 0),
        ("stop", |request| {
            request.stop = vec!["x".to_owned(), String::new()]
        }),
        ("temperature", |request| {
            request.sampling.temperature = f32::NAN
        }),
        ("top_p", |request| request.sampling.top_p = Some(7.0)),
        ("repetition_penalty", |request| {
            request.sampling.repetition_penalty = 0.0
        }),
    ];
    for (name, spoil) in cases {
        let mut request = request("Hi");
        spoil(&mut request);
        match model.generate(request) {
            Err(Error::InvalidRequest { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(matches!(
        model.count_tokens(&[], None),
        Err(Error::InvalidRequest { .. })
    ));
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_with_all_numbers() {
    let model = load(&TextModelOptions::default());
    let tokens = model.count_tokens(&request("Hi").messages, None).unwrap();
    let fitting = GenerateRequest {
        max_tokens: tiny::CONTEXT - tokens,
        ..request("Hi")
    };
    drop(model.generate(fitting.clone()).unwrap());
    for max_tokens in [fitting.max_tokens + 1, usize::MAX] {
        match model.generate(GenerateRequest {
            max_tokens,
            ..fitting.clone()
        }) {
            Err(Error::PromptTooLong {
                prompt_tokens,
                max_tokens: asked,
                context_length,
            }) => {
                assert_eq!(
                    (prompt_tokens, asked, context_length),
                    (tokens, max_tokens, tiny::CONTEXT)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    let huge = request(&"word ".repeat(200_000));
    assert!(matches!(
        model.generate(huge),
        Err(Error::PromptTooLong { .. })
    ));
}

#[test]
fn a_smaller_context_can_be_asked_for() {
    let options = |context_length| TextModelOptions {
        context_length: Some(context_length),
        ..TextModelOptions::default()
    };
    assert_eq!(load(&options(64)).info().context_length, 64);
    let sample = write(|_| ());
    for wrong in [0, tiny::CONTEXT + 1] {
        let error = GgufTextModel::load("tiny", &sample.path, &options(wrong)).unwrap_err();
        assert!(
            matches!(
                error,
                Error::InvalidRequest {
                    field: "context_length",
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn dropping_the_model_ends_its_streams() {
    let model = load(&TextModelOptions::default());
    let streams: Vec<_> = (0..20)
        .map(|seed| model.generate(sampled("Hi", seed)).unwrap())
        .collect();
    drop(model);
    let last = streams.into_iter().next_back().unwrap().last().unwrap();
    match last {
        Err(Error::EngineStopped { model }) => assert_eq!(model, "tiny"),
        Ok(StreamItem::Done(_)) => (),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_without_template_gets_chatml_if_it_knows_the_tokens() {
    let model = load(&TextModelOptions::default());
    let expected = "user\nHi\nassistant\n".len() + 3;
    assert_eq!(
        model.count_tokens(&request("Hi").messages, None).unwrap(),
        expected
    );
    let without = write(|model| {
        let tokens = model
            .metadata
            .iter_mut()
            .find(|(key, _)| key == "tokenizer.ggml.tokens");
        if let Some((_, Value::Array(tokens))) = tokens {
            tokens[tiny::IM_START as usize] = Value::String("<|other|>".to_owned());
        }
    });
    let error =
        GgufTextModel::load("tiny", &without.path, &TextModelOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("tokenizer.chat_template"),
        "{error}"
    );
}

#[test]
fn a_broken_template_and_one_that_makes_nothing_are_errors() {
    let broken = write(|model| {
        model.set(
            "tokenizer.chat_template",
            Value::String("{% for %}".to_owned()),
        )
    });
    let error =
        GgufTextModel::load("tiny", &broken.path, &TextModelOptions::default()).unwrap_err();
    assert!(
        matches!(&error, Error::Template { model, .. } if model == "tiny"),
        "{error:?}"
    );
    let silent = write(|model| model.set("tokenizer.chat_template", Value::String(String::new())));
    let model = GgufTextModel::load("tiny", &silent.path, &TextModelOptions::default()).unwrap();
    assert!(matches!(
        model.generate(request("Hi")),
        Err(Error::InvalidRequest { .. })
    ));
}

#[test]
fn a_vocabulary_larger_than_the_embedding_is_an_error() {
    let sample = write(|model| {
        let rows = model.random(&[tiny::VOCABULARY - 1, tiny::HIDDEN], 1.0);
        model.set_tensor("token_embd.weight", rows);
    });
    let error =
        GgufTextModel::load("tiny", &sample.path, &TextModelOptions::default()).unwrap_err();
    assert!(matches!(error, Error::BadTensor { .. }), "{error:?}");
}

#[test]
fn a_beginning_of_text_token_comes_first_and_once() {
    let count = |adds: bool, template: &str| {
        let sample = write(|model| {
            model.set("tokenizer.ggml.add_bos_token", Value::Bool(adds));
            model.set(
                "tokenizer.chat_template",
                Value::String(template.to_owned()),
            );
        });
        let model =
            GgufTextModel::load("tiny", &sample.path, &TextModelOptions::default()).unwrap();
        model.count_tokens(&request("Hi").messages, None).unwrap()
    };
    assert_eq!(count(false, "ab"), 2);
    assert_eq!(count(true, "ab"), 3);
    assert_eq!(count(true, "{{ bos_token }}ab"), 3);
}

#[test]
fn threads_out_of_range_are_refused() {
    let sample = write(|_| ());
    for threads in [0, 100_000] {
        let options = TextModelOptions {
            threads: Some(threads),
            ..TextModelOptions::default()
        };
        let error = GgufTextModel::load("tiny", &sample.path, &options).unwrap_err();
        assert!(
            matches!(
                error,
                Error::InvalidRequest {
                    field: "threads",
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn a_raw_text_is_read_as_it_stands_with_its_control_tokens() {
    let model = load(&TextModelOptions::default());
    let rendered = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n";
    let raw = GenerateRequest::of_text(RawText::Text(rendered.to_owned()), 20);
    assert_eq!(collect(&model, raw), collect(&model, request("Hello")));
    let tokens = GenerateRequest::of_text(RawText::Tokens(vec![1, 2, 3]), 20);
    collect(&model, tokens);
    for text in [
        RawText::Tokens(Vec::new()),
        RawText::Tokens(vec![1 << 20]),
        RawText::Tokens(vec![1 << 31]),
    ] {
        match model.generate(GenerateRequest::of_text(text, 20)) {
            Err(Error::InvalidRequest { field, .. }) => assert_eq!(field, "prompt"),
            other => panic!("{other:?}"),
        }
    }
}
