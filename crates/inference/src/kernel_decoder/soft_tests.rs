//! Rows that are the embeddings of words give the logits of those words, to the bit, in all the ways in
//! which a text is read.

use candle_core::Device;
use candle_core::quantized::GgmlDType;

use super::*;
use crate::decoder::Decoder;
use crate::engine::{BLOCK_TOKENS, LanguageModel, TokenCache};
use crate::soft::{SOFT_BASE, SoftSpan};
use crate::tiny::TinyModel;

/// More than two blocks.
const LENGTH: usize = 290;
/// Where pictures stand: at the start, across the end of a block, and as a single row.
const PICTURES: [Range<usize>; 3] = [0..3, 100..200, 250..251];

fn file(architecture: &str, dtype: GgmlDType) -> ModelFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel::new(architecture).write_as(&path, dtype);
    ModelFile::open(&path).unwrap()
}

fn words() -> Vec<u32> {
    (0..LENGTH as u32).map(|at| at * 7 % 251).collect()
}

/// The same text with the words in `PICTURES` as rows.
fn softened(embed: impl Fn(u32) -> Vec<f32>) -> (Vec<u32>, Vec<SoftSpan>) {
    let mut tokens = words();
    let mut first = SOFT_BASE + 9;
    let spans = PICTURES.map(|range| {
        let rows: Vec<f32> = tokens[range.clone()]
            .iter()
            .flat_map(|word| embed(*word))
            .collect();
        let span = SoftSpan {
            first,
            rows: rows.into(),
        };
        for token in &mut tokens[range] {
            *token = first;
            first += 1;
        }
        span
    });
    (tokens, spans.to_vec())
}

fn read<M: LanguageModel>(
    model: &M,
    tokens: &[u32],
    soft: &[SoftSpan],
    cache: &mut M::Cache,
) -> Vec<u32> {
    let part = Part {
        soft,
        ..Part::new(tokens, cache, tokens.len())
    };
    bits(model.step(&mut [part]).unwrap())
}

fn bits(logits: Vec<f32>) -> Vec<u32> {
    assert!(logits.iter().all(|logit| logit.is_finite()));
    logits.into_iter().map(f32::to_bits).collect()
}

/// In one pass, and from another request's blocks.
fn check_alone<M: LanguageModel>(
    model: &M,
    soft: &(Vec<u32>, Vec<SoftSpan>),
    what: &str,
) -> Vec<u32> {
    let (tokens, spans) = soft;
    let mut origin = model.new_cache(usize::MAX);
    let whole = read(model, &words(), &[], &mut origin);
    let mut cache = model.new_cache(usize::MAX);
    assert!(
        read(model, tokens, spans, &mut cache) == whole,
        "{what}: in one pass"
    );
    whole
}

fn check_kernels(architecture: &str, dtype: GgmlDType) {
    let file = file(architecture, dtype);
    let decoder = KernelDecoder::from_gguf(&file, Arc::new(Team::new(3).unwrap())).unwrap();
    let width = decoder.config.vocabulary;
    let (tokens, spans) = softened(|word| {
        let mut row = vec![0.0; decoder.config.hidden];
        decoder.embed(word, &mut row).unwrap();
        row
    });
    let what = format!("{architecture} {dtype:?}");
    let whole = check_alone(&decoder, &(tokens.clone(), spans.clone()), &what);
    for most in [1, 7, 130] {
        let mut cache = decoder.new_cache(usize::MAX);
        let chunks = tokens.chunks(most);
        let found: Vec<u32> = chunks
            .flat_map(|chunk| read(&decoder, chunk, &spans, &mut cache))
            .collect();
        assert!(found == whole, "{what}: chunks of {most}");
    }
    let mut origin = decoder.new_cache(usize::MAX);
    read(&decoder, &tokens, &spans, &mut origin);
    for len in [2, 150, 2 * BLOCK_TOKENS] {
        let blocks = (0..len.div_ceil(BLOCK_TOKENS)).map(|index| origin.block(index).unwrap());
        let mut fork = decoder.new_cache(usize::MAX);
        fork.adopt(blocks.collect(), len).unwrap();
        let found = read(&decoder, &tokens[len..], &spans, &mut fork);
        assert!(
            found == whole[len * width..],
            "{what}: after {len} of another request"
        );
    }
    let mut caches = [(); 3].map(|()| decoder.new_cache(usize::MAX));
    let [first, second, third] = &mut caches;
    let parts = &mut [
        Part::new(&tokens[3..50], first, 2),
        Part {
            soft: &spans,
            ..Part::new(&tokens, second, LENGTH)
        },
        Part {
            soft: &spans[1..2],
            ..Part::new(&tokens[90..120], third, 0)
        },
    ];
    let found = bits(decoder.step(parts).unwrap());
    assert!(found[2 * width..] == whole, "{what}: in company");
}

#[test]
fn rows_of_words_are_words_on_the_kernels() {
    for (architecture, dtype) in [
        ("llama", GgmlDType::F32),
        ("llama", GgmlDType::Q8_0),
        ("gemma3", GgmlDType::Q4_0),
        ("phi3", GgmlDType::BF16),
    ] {
        check_kernels(architecture, dtype);
    }
}

#[test]
fn rows_of_words_are_words_over_candle() {
    for architecture in ["llama", "gemma2"] {
        let decoder =
            Decoder::from_gguf(&file(architecture, GgmlDType::F32), &Device::Cpu).unwrap();
        let soft = softened(|word| decoder.embedded(word).unwrap());
        check_alone(&decoder, &soft, architecture);
    }
}

fn refuses_rows_that_are_missing<M: LanguageModel>(model: &M) {
    let mut caches = [(); 2].map(|()| model.new_cache(usize::MAX));
    let [first, second] = &mut caches;
    let missing = &mut [
        Part::new(&[1, 2], first, 1),
        Part::new(&[3, SOFT_BASE], second, 1),
    ];
    let error = model.step(missing).unwrap_err().to_string();
    assert!(error.contains("2147483648"), "{error}");
    assert!(second.len() == 0, "nothing was read");
}

#[test]
fn a_token_without_a_row_is_an_error() {
    let file = file("llama", GgmlDType::F32);
    let team = Arc::new(Team::alone());
    refuses_rows_that_are_missing(&KernelDecoder::from_gguf(&file, team).unwrap());
    refuses_rows_that_are_missing(&Decoder::from_gguf(&file, &Device::Cpu).unwrap());
}
