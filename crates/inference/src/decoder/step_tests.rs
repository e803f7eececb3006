//! Steps of several requests and shared blocks, over Candle; and over both what no two requests may
//! share.

use std::sync::Arc;

use longtrainer_kernels::Team;

use super::family_tests::long_model;
use super::*;
use crate::engine::{BLOCK_TOKENS, LanguageModel, TokenCache};
use crate::kernel_decoder::KernelDecoder;
use crate::tiny::TinyModel;

/// More than two blocks.
const LENGTH: usize = 290;

fn file(model: &TinyModel) -> ModelFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    model.write(&path);
    ModelFile::open(&path).unwrap()
}

fn load(model: &TinyModel) -> Decoder {
    Decoder::from_gguf(&file(model), &Device::Cpu).unwrap()
}

fn text(factor: u32) -> Vec<u32> {
    (0..LENGTH as u32).map(|at| at * factor % 251).collect()
}

/// Products of few and many rows are summed in different orders.
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-3,
            "{what}: {found}, not {expected}"
        );
    }
}

/// Another cache with the first `len` tokens of `origin`.
fn fork<M: LanguageModel>(model: &M, origin: &M::Cache, len: usize) -> M::Cache {
    let blocks = 0..len.div_ceil(BLOCK_TOKENS);
    let blocks = blocks.map(|index| origin.block(index).unwrap()).collect();
    let mut fork = model.new_cache(usize::MAX);
    fork.adopt(blocks, len).unwrap();
    fork
}

#[test]
fn parts_are_read_as_if_alone() {
    let decoder = load(&TinyModel::new("gemma3"));
    let (left, right) = (text(7), text(11));
    let alone = |tokens: &[u32], asked: usize| {
        let mut cache = decoder.new_cache(usize::MAX);
        decoder.step_one(tokens, &mut cache, asked).unwrap()
    };
    let mut caches = [(); 3].map(|()| decoder.new_cache(usize::MAX));
    let [first, second, third] = &mut caches;
    let parts = [(&left, first, 2), (&left, second, 0), (&right, third, 1)];
    let mut parts = parts.map(|(tokens, cache, logits)| Part::new(tokens, cache, logits));
    let found = decoder.step(&mut parts).unwrap();
    let expected = [alone(&left, 2), alone(&right, 1)].concat();
    assert_close(&found, &expected, "together");
    assert!(caches.iter().all(|cache| cache.len() == LENGTH));
    let [first, ..] = &mut caches;
    assert!(decoder.step_one(&[1], first, 2).is_err());
    assert_eq!(first.len(), LENGTH);
}

/// Requests of many lengths make a token together, some of them a guess of several, while others read their prompts.
#[test]
fn batches_of_every_kind_agree_with_requests_alone() {
    for architecture in ["llama", "qwen3", "gemma2", "gemma3", "phi3"] {
        let decoder = load(&TinyModel::new(architecture));
        agrees_with_requests_alone(&decoder, &decoder, architecture);
        let fuses = load(&TinyModel::new(architecture)).that_fuses();
        agrees_with_requests_alone(&fuses, &decoder, architecture);
    }
}

fn agrees_with_requests_alone(decoder: &Decoder, alone: &Decoder, what: &str) {
    let lengths = [3, 130, 1, 257, 128, 40];
    let steps = [1, 3, 1, 1, 3, 200];
    let tokens = text(7);
    let read = |decoder: &Decoder, count: usize| {
        let mut cache = decoder.new_cache(usize::MAX);
        decoder.step_one(&tokens[..count], &mut cache, 0).unwrap();
        cache
    };
    let mut caches = lengths.map(|count| read(decoder, count));
    let sizes = lengths.iter().zip(steps);
    let parts = caches.iter_mut().zip(sizes.clone());
    let mut parts: Vec<_> = parts
        .map(|(cache, (start, count))| Part::new(&tokens[*start..start + count], cache, 1))
        .collect();
    let together = decoder.step(&mut parts).unwrap();
    let expected = sizes.map(|(start, count)| {
        let mut cache = read(alone, *start);
        alone
            .step_one(&tokens[*start..start + count], &mut cache, 1)
            .unwrap()
    });
    assert_close(&together, &expected.collect::<Vec<_>>().concat(), what);
    for (cache, (length, step)) in caches.iter().zip(lengths.iter().zip(steps)) {
        assert_eq!(cache.len(), length + step);
    }
}

/// Two requests that grow in turn get pages that do not lie side by side.
#[test]
fn pages_lie_anywhere() {
    lie_anywhere(&load(&TinyModel::new("gemma3")));
    lie_anywhere(&load(&TinyModel::new("gemma3")).that_fuses());
}

fn lie_anywhere(decoder: &Decoder) {
    let tokens = text(7);
    let mut caches = [(); 2].map(|()| decoder.new_cache(usize::MAX));
    for part in tokens.chunks(100) {
        for cache in &mut caches {
            decoder.step_one(part, cache, 0).unwrap();
        }
    }
    let mut whole = decoder.new_cache(usize::MAX);
    decoder.step_one(&tokens, &mut whole, 0).unwrap();
    let expected = decoder.step_one(&[9, 8], &mut whole, 2).unwrap();
    let found = decoder.step_one(&[9, 8], &mut caches[0], 2).unwrap();
    assert_close(&found, &expected, "scattered");
    assert_close(
        &decoder.step_one(&[9], &mut caches[1], 1).unwrap(),
        &expected[..expected.len() / 2],
        "one token",
    );
}

/// What a failed request leaves behind harms nobody who gets its memory.
#[test]
fn what_is_no_number_stays_with_its_request() {
    stays_with_its_request(&load(&TinyModel::new("llama")));
    stays_with_its_request(&load(&TinyModel::new("llama")).that_fuses());
}

fn stays_with_its_request(decoder: &Decoder) {
    let tokens = text(7);
    let (mut kept, mut bad) = (decoder.new_cache(usize::MAX), decoder.new_cache(usize::MAX));
    decoder.step_one(&tokens[..3], &mut kept, 0).unwrap();
    let expected = decoder.step_one(&tokens[3..5], &mut kept, 1).unwrap();
    kept.truncate(3);
    decoder.step_one(&tokens[..90], &mut bad, 0).unwrap();
    for cached in decoder.pool.tensors() {
        let places = BLOCK_TOKENS..2 * BLOCK_TOKENS;
        let mut shape = cached.dims().to_vec();
        shape[1] = places.len();
        let nan = Tensor::full(f32::NAN, shape, &Device::Cpu).unwrap();
        cached.slice_set(&nan, 1, places.start).unwrap();
    }
    drop(bad);
    let mut next = decoder.new_cache(usize::MAX);
    decoder.step_one(&tokens[..3], &mut next, 0).unwrap();
    let mut parts = [
        Part::new(&tokens[3..5], &mut kept, 1),
        Part::new(&tokens[3..5], &mut next, 1),
    ];
    let found = decoder.step(&mut parts).unwrap();
    assert_close(
        &found,
        &[expected.as_slice(), &expected].concat(),
        "after it",
    );
}

#[test]
fn requests_go_on_from_anothers_blocks() {
    let decoder = load(&TinyModel::new("llama"));
    let tokens = text(7);
    let mut origin = decoder.new_cache(usize::MAX);
    let whole = decoder.step_one(&tokens, &mut origin, 1).unwrap();
    for len in [1, 100, BLOCK_TOKENS, 2 * BLOCK_TOKENS, LENGTH - 1] {
        let mut fork = fork(&decoder, &origin, len);
        assert_eq!(fork.len(), len);
        let found = decoder.step_one(&tokens[len..], &mut fork, 1).unwrap();
        assert_close(&found, &whole, &format!("after {len}"));
    }
    origin.truncate(200);
    let found = decoder.step_one(&tokens[200..], &mut origin, 1).unwrap();
    assert_close(&found, &whole, "truncated");
}

#[test]
fn memory_is_counted_until_it_is_given_back() {
    let decoder = load(&TinyModel::new("llama"));
    let mut cache = decoder.new_cache(usize::MAX);
    assert_eq!(decoder.cache_bytes(), 0);
    decoder.step_one(&text(7), &mut cache, 0).unwrap();
    assert_eq!(decoder.cache_bytes(), 3 * decoder.block_bytes());
    let block = cache.block(1).unwrap();
    assert_eq!(decoder.cache_bytes(), 3 * decoder.block_bytes());
    cache.truncate(0);
    assert_eq!(decoder.cache_bytes(), decoder.block_bytes());
    drop(block);
    assert_eq!(decoder.cache_bytes(), 0);
}

fn refuses_what_does_not_fit<M: LanguageModel>(model: &M) {
    let mut origin = model.new_cache(usize::MAX);
    model.step_one(&text(7)[..150], &mut origin, 0).unwrap();
    assert!(origin.block(2).is_err());
    let blocks = || vec![origin.block(0).unwrap(), origin.block(1).unwrap()];
    let mut cache = model.new_cache(149);
    for len in [0, 128, 150, 257] {
        assert!(cache.adopt(blocks(), len).is_err(), "{len} tokens");
    }
    let mut longer = model.new_cache(usize::MAX);
    assert!(longer.adopt(blocks(), 151).is_err(), "they were not read");
    assert!(cache.adopt(blocks(), 149).is_ok());
    assert!(cache.adopt(Vec::new(), 0).is_err(), "it is not empty");
    assert_eq!((cache.len(), longer.len()), (149, 0));
}

#[test]
fn blocks_that_do_not_fit_are_refused() {
    let file = file(&TinyModel::new("llama"));
    refuses_what_does_not_fit(&Decoder::from_gguf(&file, &Device::Cpu).unwrap());
    let team = Arc::new(Team::alone());
    refuses_what_does_not_fit(&KernelDecoder::from_gguf(&file, team).unwrap());
}

/// Requests of up to 50 tokens and longer ones turn their keys by different angles.
fn keeps_kinds_apart<M: LanguageModel>(model: &M) {
    assert_eq!(model.cache_kind(12), model.cache_kind(50));
    assert_eq!(model.cache_kind(51), model.cache_kind(usize::MAX));
    assert_ne!(model.cache_kind(50), model.cache_kind(51));
    let mut short = model.new_cache(50);
    model.step_one(&[1, 2, 3], &mut short, 0).unwrap();
    let block = || vec![short.block(0).unwrap()];
    assert!(model.new_cache(51).adopt(block(), 3).is_err());
    assert!(model.new_cache(40).adopt(block(), 3).is_ok());
    // In one step, each gets its own.
    let alone = |tokens| {
        let mut cache = model.new_cache(tokens);
        model.step_one(&[4, 5, 6, 7], &mut cache, 1).unwrap()
    };
    let (mut short, mut long) = (model.new_cache(50), model.new_cache(51));
    let tokens = &[4, 5, 6, 7];
    let together = model.step(&mut [
        Part::new(tokens, &mut short, 1),
        Part::new(tokens, &mut long, 1),
    ]);
    // A product of more rows may add in another order.
    let apart = [alone(50), alone(51)].concat();
    let pairs = together.unwrap().into_iter().zip(&apart);
    let difference = pairs.map(|(one, other)| (one - other).abs());
    assert!(difference.fold(0.0, f32::max) < 1e-4);
    assert_ne!(alone(50), alone(51));
}

#[test]
fn requests_with_other_rotary_factors_share_no_blocks() {
    let file = file(&long_model());
    keeps_kinds_apart(&Decoder::from_gguf(&file, &Device::Cpu).unwrap());
    let team = Arc::new(Team::alone());
    keeps_kinds_apart(&KernelDecoder::from_gguf(&file, team).unwrap());
}
