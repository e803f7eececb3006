//! Decoders that find the greatest logits on their device, against the same ones that copy all logits: on the processor,
//! or where [`on_device_tests`](crate::on_device_tests) says.

use std::sync::Arc;
use std::time::Instant;

use candle_core::quantized::GgmlDType;

use crate::decoder::{Compute, Decoder};
use crate::engine::{Engine, EngineOptions, Job, Needed, Part, Scores, TokenCache, TokenText};
use crate::model_file::ModelFile;
use crate::sampling::by_logit;
use crate::soft::{SOFT_BASE, SoftSpan};
use crate::test_device;
use crate::tiny::{HIDDEN, TinyModel, VOCABULARY};
use crate::{Error, Result, Sampling, StreamItem, TextStream};

fn decoder(chooses: bool) -> Decoder {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel::new("llama").write_as(&path, GgmlDType::F32);
    let file = ModelFile::open(&path).unwrap();
    let device = test_device::device();
    let compute = Compute::on_a_card(Some(GgmlDType::F32));
    let decoder = Decoder::computing_in(&file, device.device(), compute).unwrap();
    decoder.that_chooses(chooses)
}

fn text(seed: u32, length: u32) -> Vec<u32> {
    (0..length).map(|at| (at * 7 + seed * 31) % 251).collect()
}

#[test]
fn parts_of_a_step_get_what_they_need() {
    let decoder = decoder(true);
    let texts = [text(1, 20), text(2, 5), text(3, 9), text(4, 1), text(5, 7)];
    let asked = [
        (3, Needed::Greatest(1)),
        (0, Needed::Logits),
        (2, Needed::Greatest(65)),
        (1, Needed::Logits),
        (1, Needed::Greatest(1)),
    ];
    let mut caches = asked.map(|_| decoder.new_cache(usize::MAX));
    let step = texts.iter().zip(&mut caches).zip(asked);
    let step = step.map(|((tokens, cache), (logits, needed))| Part {
        needed,
        ..Part::new(tokens, cache, logits)
    });
    let mut step: Vec<_> = step.collect();
    let found = decoder.scores(&mut step).unwrap();
    for part in &mut step {
        part.cache.truncate(0);
    }
    let logits = decoder.step(&mut step).unwrap();
    let mut rows = logits.chunks(VOCABULARY);
    for ((count, needed), found) in asked.into_iter().zip(found) {
        let rows: Vec<&[f32]> = rows.by_ref().take(count).collect();
        let expected = match needed {
            Needed::Logits => Scores::Logits(rows.concat()),
            Needed::Greatest(most) => {
                Scores::Greatest(rows.iter().map(|row| sorted(row, most)).collect())
            }
        };
        assert_eq!(found, expected);
    }
    let mut without = [Part::new(&texts[0], &mut caches[0], 0)];
    assert_eq!(decoder.scores(&mut without).unwrap(), [Scores::NONE]);
    assert_eq!(decoder.scores(&mut []).unwrap(), []);
    let mut too_many = [Part::new(&texts[3], &mut caches[3], 2)];
    assert!(decoder.scores(&mut too_many).is_err());
}

fn sorted(row: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut tokens: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
    tokens.sort_by(by_logit);
    tokens.truncate(count);
    tokens
}

/// Tokens as numbers.
struct Numbered(Vec<String>);

impl TokenText for Numbered {
    fn vocabulary(&self) -> usize {
        self.0.len()
    }

    fn token_bytes(&self, token: u32) -> &[u8] {
        self.0[token as usize].as_bytes()
    }

    fn is_end(&self, _: u32) -> bool {
        false
    }
}

fn request(number: u32, change: impl FnOnce(&mut Job)) -> (Job, TextStream) {
    let (events, receiver) = async_channel::unbounded();
    let mut job = Job {
        prompt: text(number, 10 + 30 * number),
        soft: Vec::new(),
        adapter: None,
        cache_scope: None,
        sampling: Sampling::default(),
        max_tokens: 24,
        stop: Vec::new(),
        stop_tokens: Vec::new(),
        guide: None,
        top_logprobs: None,
        events,
        submitted: Instant::now(),
        span: tracing::Span::none(),
    };
    change(&mut job);
    (job, TextStream::new(receiver))
}

fn sampled(job: &mut Job, top_k: Option<usize>) {
    job.sampling.temperature = 0.9;
    job.sampling.top_k = top_k;
    job.sampling.seed = Some(7);
}

/// A prompt that ends in a picture whose rows are no numbers.
fn spoiled(job: &mut Job) {
    job.prompt = vec![65, 66, SOFT_BASE];
    let rows = vec![f32::NAN; HIDDEN].into();
    job.soft = vec![SoftSpan {
        first: SOFT_BASE,
        rows,
    }];
}

/// The answers to requests that come together: greedy, with and without penalties, sampled of some and of all, with log
/// probabilities, with numbers that are none; while the longest is in the middle of its prompt the first are answered.
fn answers(chooses: bool) -> Vec<Result<String>> {
    let words = (0..VOCABULARY).map(|token| format!("{token} "));
    let words = Arc::new(Numbered(words.collect()));
    let options = EngineOptions {
        chunk_tokens: 40,
        ..EngineOptions::default()
    };
    let engine = Engine::start("tiny", decoder(chooses), words, None, 600, &options).unwrap();
    let requests = [
        request(0, |_| ()),
        request(1, |job| job.sampling.repetition_penalty = 1.05),
        request(2, |job| sampled(job, Some(20))),
        request(3, spoiled),
        request(4, |job| sampled(job, None)),
        request(5, |job| job.top_logprobs = Some(2)),
        request(6, |job| job.sampling.repetition_penalty = 3.0),
        request(15, |_| ()),
    ];
    let streams = requests.map(|(job, stream)| {
        engine.submit(job).unwrap();
        stream
    });
    streams.map(collect).into()
}

fn collect(stream: TextStream) -> Result<String> {
    let mut text = String::new();
    for item in stream {
        if let StreamItem::Text(piece) = item? {
            text.push_str(&piece);
        }
    }
    Ok(text)
}

#[test]
fn answers_are_those_of_whole_rows() {
    let (found, expected) = (answers(true), answers(false));
    for (number, (found, expected)) in found.into_iter().zip(expected).enumerate() {
        match number {
            3 => assert!(
                [&found, &expected]
                    .iter()
                    .all(|answer| matches!(answer, Err(Error::Compute { .. }))),
                "{found:?}"
            ),
            _ => {
                let (found, expected) = (found.unwrap(), expected.unwrap());
                assert_eq!(found.split_whitespace().count(), 24, "{number}");
                assert_eq!(found, expected, "{number}");
            }
        }
    }
}
