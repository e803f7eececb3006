//! A token's logits have the same bits however its text was read: in one pass or in chunks, alone or
//! beside other texts, from the start or after blocks that another request has read.

use candle_core::quantized::GgmlDType;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::wide_tests::wide;
use super::*;
use crate::engine::{BLOCK_TOKENS, LanguageModel, TokenCache};
use crate::tiny::TinyModel;

/// More than two blocks.
const LENGTH: usize = 290;

fn load(model: &TinyModel, dtype: GgmlDType) -> KernelDecoder {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    model.write_as(&path, dtype);
    let file = ModelFile::open(&path).unwrap();
    KernelDecoder::from_gguf(&file, Arc::new(Team::new(3).unwrap())).unwrap()
}

/// Tokens of the smallest vocabulary.
fn text(random: &mut StdRng, length: usize) -> Vec<u32> {
    (0..length).map(|_| random.random_range(0..60)).collect()
}

fn bits(logits: Vec<f32>) -> Vec<u32> {
    assert!(logits.iter().all(|logit| logit.is_finite()));
    logits.into_iter().map(f32::to_bits).collect()
}

/// Logits after all tokens, read in one pass.
fn in_one_pass(decoder: &KernelDecoder, tokens: &[u32]) -> Vec<u32> {
    let mut cache = decoder.new_cache(usize::MAX);
    read(decoder, tokens, &mut cache)
}

fn read(decoder: &KernelDecoder, tokens: &[u32], cache: &mut DecoderCache) -> Vec<u32> {
    bits(decoder.step_one(tokens, cache, tokens.len()).unwrap())
}

fn in_chunks(
    decoder: &KernelDecoder,
    tokens: &[u32],
    random: &mut StdRng,
    most: usize,
) -> Vec<u32> {
    let mut cache = decoder.new_cache(usize::MAX);
    let (mut logits, mut rest) = (Vec::new(), tokens);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(random.random_range(1..=most).min(rest.len()));
        logits.extend(read(decoder, chunk, &mut cache));
        rest = after;
    }
    logits
}

/// Logits after all tokens, read beside others.
fn in_company(decoder: &KernelDecoder, tokens: &[u32], random: &mut StdRng) -> Vec<u32> {
    let mut texts = [
        text(random, 500),
        tokens.to_vec(),
        text(random, 400),
        text(random, 130),
    ];
    let mut caches = [(); 4].map(|()| decoder.new_cache(usize::MAX));
    let (mut found, width) = (Vec::new(), decoder.config.vocabulary);
    while caches[1].len() < tokens.len() {
        let mut parts = Vec::new();
        let mut own = 0..0;
        let mut rows = 0;
        for (number, (text, cache)) in texts.iter_mut().zip(&mut caches).enumerate() {
            let rest = &text[cache.len()..];
            let count = [1, 1, 4, 90][random.random_range(0..4)].min(rest.len());
            if count == 0 || random.random_range(0..4) == 0 {
                continue;
            }
            let logits = match number {
                1 => count,
                _ => random.random_range(0..=count),
            };
            if number == 1 {
                own = rows * width..(rows + count) * width;
            }
            rows += logits;
            parts.push(Part::new(&rest[..count], cache, logits));
        }
        let logits = bits(decoder.step(&mut parts).unwrap());
        assert_eq!(logits.len(), rows * width);
        found.extend_from_slice(&logits[own]);
    }
    found
}

/// Logits after the tokens from number `len` on, those before them taken over from another request,
/// which then goes on in its own way.
fn from_blocks(
    decoder: &KernelDecoder,
    tokens: &[u32],
    random: &mut StdRng,
    len: usize,
) -> Vec<u32> {
    let mut origin = decoder.new_cache(usize::MAX);
    read(decoder, tokens, &mut origin);
    origin.truncate(random.random_range(len..=tokens.len()));
    let blocks = 0..len.div_ceil(BLOCK_TOKENS);
    let blocks = blocks.map(|index| origin.block(index).unwrap()).collect();
    let mut fork = decoder.new_cache(usize::MAX);
    fork.adopt(blocks, len).unwrap();
    origin.truncate(random.random_range(len / 2..=len));
    read(decoder, &text(random, 40), &mut origin);
    read(decoder, &tokens[len..], &mut fork)
}

fn check(decoder: &KernelDecoder, what: &str) {
    let mut random = StdRng::seed_from_u64(7);
    let tokens = text(&mut random, LENGTH);
    let whole = in_one_pass(decoder, &tokens);
    for most in [1, 9, 150] {
        let found = in_chunks(decoder, &tokens, &mut random, most);
        assert!(found == whole, "{what}: chunks of up to {most}");
    }
    for round in 0..2 {
        let found = in_company(decoder, &tokens, &mut random);
        assert!(found == whole, "{what}: in company {round}");
    }
    for len in [1, 100, BLOCK_TOKENS, 200, 2 * BLOCK_TOKENS, LENGTH - 1] {
        let found = from_blocks(decoder, &tokens, &mut random, len);
        let expected = &whole[len * decoder.config.vocabulary..];
        assert!(found == expected, "{what}: after {len} of another request");
    }
    assert_eq!(decoder.pool().bytes(), 0, "{what}: all caches are gone");
}

#[test]
fn logits_have_the_same_bits_however_a_text_is_read() {
    for (architecture, dtypes) in [
        (
            "llama",
            &[
                GgmlDType::Q4_0,
                GgmlDType::Q4_1,
                GgmlDType::Q5_0,
                GgmlDType::Q8_0,
                GgmlDType::F16,
                GgmlDType::BF16,
                GgmlDType::F32,
            ][..],
        ),
        ("qwen3", &[GgmlDType::Q8_0, GgmlDType::BF16]),
        ("gemma3", &[GgmlDType::Q4_0, GgmlDType::F16]),
        ("phi3", &[GgmlDType::Q5_1, GgmlDType::F32]),
    ] {
        for dtype in dtypes {
            let decoder = load(&TinyModel::new(architecture), *dtype);
            check(&decoder, &format!("{architecture} {dtype:?}"));
        }
    }
}

#[test]
fn super_blocks_give_the_same_bits_too() {
    for dtype in [GgmlDType::Q4K, GgmlDType::Q5K, GgmlDType::Q6K] {
        check(&load(&wide("gemma3"), dtype), &format!("{dtype:?}"));
    }
}

#[test]
fn a_step_that_fails_leaves_all_its_caches_as_they_were() {
    let decoder = load(&TinyModel::new("llama"), GgmlDType::Q8_0);
    let mut first = decoder.new_cache(usize::MAX);
    let mut second = decoder.new_cache(12);
    read(&decoder, &[1, 2, 3], &mut first);
    let mut step = |tokens: &[u32], logits| {
        let parts = &mut [
            Part::new(&[4, 5], &mut first, 1),
            Part::new(tokens, &mut second, logits),
        ];
        let result = decoder.step(parts);
        (result.is_ok(), first.len(), second.len())
    };
    let bytes = decoder.pool().bytes();
    for (tokens, logits) in [
        (&[9, u32::MAX][..], 0),
        (&[], 0),
        (&[1; 13], 0),
        (&[1, 2], 3),
    ] {
        assert_eq!(step(tokens, logits), (false, 3, 0), "{tokens:?}");
        assert_eq!(decoder.pool().bytes(), bytes, "{tokens:?}");
    }
    assert_eq!(step(&[1; 12], 0), (true, 5, 12));
    assert_eq!(step(&[1], 0), (false, 5, 12), "the second has no more room");
}

#[test]
fn memory_is_counted_by_blocks() {
    let decoder = load(&TinyModel::new("llama"), GgmlDType::Q8_0);
    assert_eq!(decoder.cache_bytes(), 0);
    let block = decoder.block_bytes();
    let mut cache = decoder.new_cache(usize::MAX);
    read(&decoder, &[1; BLOCK_TOKENS + 1], &mut cache);
    assert_eq!(decoder.cache_bytes(), 2 * block);
    let shared = cache.block(0).unwrap();
    drop(cache);
    assert_eq!(decoder.cache_bytes(), block);
    drop(shared);
    assert_eq!(decoder.cache_bytes(), 0);
}
