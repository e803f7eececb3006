//! Models on a device against the same models on the processor in f32: the one suite to run on a machine with a card,
//!
//! ```sh
//! LONGTRAINER_TEST_DEVICE=cuda scripts/build-cuda --test
//! ```
//!
//! Without the variable it runs over Candle on the processor, in f16 where a card would take 16 bits, so that the same
//! code is tried everywhere. Tolerances are shares of the largest logit, one for each type.

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device};

use crate::decoder::{Compute, Decoder};
use crate::engine::{BLOCK_TOKENS, LanguageModel, Part, TokenCache};
use crate::model_file::ModelFile;
use crate::test_device;
use crate::test_models;
use crate::tiny::TinyModel;
use crate::vision::load_candle_tower;
use crate::{
    BareTextModel, BertEmbedder, CardPrecision, Embedder, EmbedderOptions, EncoderShape,
    GenerateRequest, GgufTextModel, Message, Precision, Role, SelectedDevice, StreamItem,
    TOWER_PRECISION, TextModel, TextModelOptions, TextShape, VisionCheckpoint, VisionShape,
    WeightType, load_tower,
};

/// Sums in another order.
const F32: f32 = 1e-3;
/// Eleven bits of each state and weight.
const F16: f32 = 1e-2;
/// Eight bits.
const BF16: f32 = 5e-2;
/// Cards round what a quantised matrix is multiplied with to bytes.
const QUANTISED: f32 = 5e-2;

const ARCHITECTURES: [&str; 7] = [
    "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3",
];
const TOKENS: [u32; 9] = [258, 72, 101, 3, 256, 257, 200, 72, 259];

fn on_processor() -> bool {
    test_device::device().name() == "cpu"
}

fn open(model: &TinyModel, dtype: GgmlDType) -> ModelFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    model.write_as(&path, dtype);
    ModelFile::open(&path).unwrap()
}

/// The decoder as a card would run it. The processor has no product in bfloat16, and for some blocks only those of
/// rows with an even number of them.
fn on_device(file: &ModelFile, dtype: GgmlDType) -> Decoder {
    let device = test_device::device();
    let compute = match dtype {
        GgmlDType::BF16 if on_processor() => Compute::all(DType::F16),
        GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1 if on_processor() => {
            Compute::all(DType::F32).without_blocks()
        }
        dtype => Compute::on_a_card(Some(dtype)),
    };
    Decoder::computing_in(file, device.device(), compute).unwrap()
}

/// Logits after every token of a text that is read in two steps, the first together with another text's.
fn logits(decoder: &Decoder) -> Vec<f32> {
    let mut cache = decoder.new_cache(usize::MAX);
    let mut beside = decoder.new_cache(usize::MAX);
    let (first, second) = TOKENS.split_at(5);
    let mut parts = [
        Part::new(&TOKENS[2..], &mut beside, 0),
        Part::new(first, &mut cache, first.len()),
    ];
    let mut logits = LanguageModel::step(decoder, &mut parts).unwrap();
    logits.extend(decoder.step_one(second, &mut cache, second.len()).unwrap());
    logits
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], share: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected
        .iter()
        .fold(0f32, |largest, value| largest.max(value.abs()));
    let pairs = found.iter().zip(expected);
    let distance = pairs
        .map(|(one, other)| (one - other).abs())
        .fold(0f32, f32::max);
    let share_found = distance / largest;
    assert!(
        share_found <= share,
        "{what}: off by {share_found} of the largest, not {share}"
    );
}

#[test]
fn decoders_of_every_architecture_and_type_agree_with_the_processor() {
    for architecture in ARCHITECTURES {
        for (dtype, share) in [
            (GgmlDType::F32, F32),
            (GgmlDType::F16, F16),
            (GgmlDType::BF16, BF16),
            (GgmlDType::Q4_0, QUANTISED),
            (GgmlDType::Q4_1, QUANTISED),
            (GgmlDType::Q5_0, QUANTISED),
            (GgmlDType::Q5_1, QUANTISED),
            (GgmlDType::Q8_0, QUANTISED),
        ] {
            let file = open(&TinyModel::new(architecture), dtype);
            let expected = Decoder::from_gguf(&file, &Device::Cpu).unwrap();
            let what = format!("{architecture} in {dtype:?}");
            assert_close(
                &logits(&on_device(&file, dtype)),
                &logits(&expected),
                share,
                &what,
            );
        }
    }
}

/// A card that found them wrong would go on without them.
#[test]
fn kernels_of_our_own_are_right_on_cards_that_have_some() {
    let decoder = on_device(
        &open(&TinyModel::new("llama"), GgmlDType::F16),
        GgmlDType::F16,
    );
    let has_some = test_device::device().name().starts_with("cuda");
    assert_eq!(decoder.fuses(), has_some);
}

/// Rows of 256 values, which blocks of K formats need, and longer sums.
#[test]
fn larger_decoders_agree_with_the_processor() {
    let shape = TextShape {
        blocks: 2,
        hidden: 512,
        feed_forward: 1024,
        heads: 8,
        kv_heads: 2,
        head_dim: 64,
        vocabulary: 2000,
        context: 600,
        ties_embedding: false,
    };
    let tokens: Vec<u32> = (0..300).map(|at| at * 7 % 2000).collect();
    let read = |weights, device: SelectedDevice| {
        let options = TextModelOptions {
            device,
            ..TextModelOptions::default()
        };
        let mut model = BareTextModel::made_up("large", &shape, weights, &options).unwrap();
        model.skip(&tokens[..200]).unwrap();
        let mut logits = model.read(&tokens[200..299]).unwrap();
        // A token that is made may look at what is before it in another way than a prompt.
        logits.extend(model.read(&tokens[299..]).unwrap());
        logits
    };
    for (weights, share) in [
        (WeightType::F32, F32),
        (WeightType::Bf16, BF16),
        (WeightType::F16, F16),
        (WeightType::Q8_0, QUANTISED),
        (WeightType::Q4_1, QUANTISED),
        (WeightType::Q4K, QUANTISED),
    ] {
        let expected = read(weights, SelectedDevice::default());
        let found = read(weights, test_device::device());
        assert_close(&found, &expected, share, &weights.to_string());
    }
}

#[test]
fn blocks_of_other_requests_are_taken_over_in_any_type() {
    for (dtype, share) in [
        (GgmlDType::F32, F32),
        (GgmlDType::F16, F16),
        (GgmlDType::Q8_0, QUANTISED),
    ] {
        let decoder = on_device(&open(&TinyModel::new("llama"), dtype), dtype);
        let tokens: Vec<u32> = (0..290).map(|at| at * 7 % 251).collect();
        let mut origin = decoder.new_cache(usize::MAX);
        let whole = decoder.step_one(&tokens, &mut origin, 1).unwrap();
        let shared = 2 * BLOCK_TOKENS;
        let blocks = (0..2).map(|index| origin.block(index).unwrap()).collect();
        let mut fork = LanguageModel::new_cache(&decoder, usize::MAX);
        fork.adopt(blocks, shared).unwrap();
        let found = decoder.step_one(&tokens[shared..], &mut fork, 1).unwrap();
        assert_close(&found, &whole, share, &format!("{dtype:?}"));
    }
}

/// Scores of Gemma 2 are capped, which no kernel does, so that Candle runs it on the processor too.
#[test]
fn the_engine_answers_several_requests_as_it_answers_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel::new("gemma2").write(&path);
    let options = TextModelOptions {
        device: test_device::device(),
        ..TextModelOptions::default()
    };
    let model = GgufTextModel::load("tiny", &path, &options).unwrap();
    let request = |word: &str| {
        let message = Message::new(Role::User, format!("{word}, and what comes then?"));
        let mut request = GenerateRequest::new(vec![message], 12);
        request.sampling.temperature = 0.0;
        request
    };
    let words = ["One", "Two", "Three", "Four"];
    let alone = words.map(|word| text(model.generate(request(word)).unwrap()));
    let streams = words.map(|word| model.generate(request(word)).unwrap());
    let together = streams.map(text);
    assert_eq!(together, alone);
    assert!(alone.iter().all(|text| !text.is_empty()));
}

fn text(stream: crate::TextStream) -> String {
    let pieces = stream.filter_map(|item| match item.unwrap() {
        StreamItem::Text(piece) => Some(piece),
        _ => None,
    });
    pieces.collect()
}

#[test]
fn encoders_agree_with_the_processor() {
    let folder = tempfile::tempdir().unwrap();
    let shape = EncoderShape {
        layers: 3,
        hidden: 128,
        inner: 256,
        heads: 4,
        vocabulary: 1000,
        positions: 200,
    };
    shape.write(folder.path()).unwrap();
    let texts: Vec<Vec<u32>> = [3, 50, 200, 17]
        .map(|length| (5..5 + length).collect())
        .to_vec();
    let options = EmbedderOptions {
        precision: Precision::F32,
        ..EmbedderOptions::default()
    };
    let exact = BertEmbedder::load("made up", folder.path(), "", &options).unwrap();
    let expected = exact.embed_tokens(texts.clone()).unwrap();
    for (precision, share, cosine) in card_precisions() {
        let model = through_candle(folder.path(), precision);
        assert_eq!(model.info().dimension, 128);
        let found = model.embed_tokens(texts.clone()).unwrap();
        assert_vectors(&found, &expected, (share, cosine), precision);
        let ours = model.memory_bytes();
        let halved = if precision == CardPrecision::F32 {
            1
        } else {
            2
        };
        let in_f32 = through_candle(folder.path(), CardPrecision::F32).memory_bytes();
        assert_eq!(ours * halved, in_f32, "{precision:?}");
    }
}

/// With trained weights, whose states are larger than made-up ones.
#[test]
fn the_default_embedder_agrees_with_the_processor() {
    let Some(folder) = test_models::find(test_models::EMBEDDER) else {
        return;
    };
    let options = EmbedderOptions {
        precision: Precision::F32,
        ..EmbedderOptions::default()
    };
    let exact = BertEmbedder::load("MiniLM", &folder, "", &options).unwrap();
    let long = "The lease ends on 31 March unless either side renews it in writing. ".repeat(12);
    let texts = [
        "",
        "cat",
        "Who signed the contract of 1997?",
        "!!! 42 %%% \u{1F600}",
        long.as_str(),
    ];
    let expected = exact.embed(&texts).unwrap();
    for (precision, share, cosine) in card_precisions() {
        let found = through_candle(&folder, precision).embed(&texts).unwrap();
        assert_vectors(&found, &expected, (share, cosine), precision);
    }
}

/// What encoders are computed in, with the shares and cosines that are asked for. The processor has no product in
/// bfloat16.
fn card_precisions() -> Vec<(CardPrecision, f32, f32)> {
    let mut all = vec![
        (CardPrecision::F32, F32, 0.999_999),
        (CardPrecision::F16, F16, 0.9999),
    ];
    if !on_processor() {
        all.push((CardPrecision::Bf16, BF16, 0.999));
    }
    all
}

fn through_candle(folder: &std::path::Path, precision: CardPrecision) -> BertEmbedder {
    BertEmbedder::load_through_candle("candle", folder, &test_device::device(), precision).unwrap()
}

#[track_caller]
fn assert_vectors(
    found: &[Vec<f32>],
    expected: &[Vec<f32>],
    (share, cosine): (f32, f32),
    precision: CardPrecision,
) {
    let what = format!("{precision:?}");
    assert_close(&found.concat(), &expected.concat(), share, &what);
    for (found, expected) in found.iter().zip(expected) {
        assert_cosine(found, expected, cosine, &what);
    }
}

#[track_caller]
fn assert_cosine(found: &[f32], expected: &[f32], least: f32, what: &str) {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths = (product(found, found) * product(expected, expected)).sqrt();
    let cosine = product(found, expected) / lengths;
    assert!(cosine >= least, "{what}: a cosine of {cosine}, not {least}");
}

#[test]
fn vision_halves_agree_with_the_processor() {
    let folder = tempfile::tempdir().unwrap();
    let shape = VisionShape {
        blocks: 3,
        hidden: 128,
        inner: 256,
        heads: 4,
        image_size: 128,
        patch_size: 16,
        scale_factor: 2,
        text_width: 96,
    };
    shape.write(folder.path()).unwrap();
    let checkpoint = VisionCheckpoint::open(folder.path()).unwrap();
    let exact = load_tower(
        &checkpoint,
        &SelectedDevice::default(),
        None,
        Precision::F32,
    );
    let exact = exact.unwrap();
    let frame: Vec<f32> = (0..exact.config().frame_values())
        .map(|at| (at * 37 % 255) as f32 / 127.5 - 1.0)
        .collect();
    let expected = exact.encode(&frame).unwrap();
    for (precision, share, cosine) in card_precisions() {
        let tower = load_candle_tower(&checkpoint, &test_device::device(), precision).unwrap();
        let found = tower.encode(&frame).unwrap();
        let what = format!("{precision:?}");
        assert_close(&found, &expected, share, &what);
        let tokens = found.chunks(shape.text_width);
        for (found, expected) in tokens.zip(expected.chunks(shape.text_width)) {
            assert_cosine(found, expected, cosine, &what);
        }
        // More frames than go together, among them this one.
        let other: Vec<f32> = frame.iter().rev().copied().collect();
        let mut frames = vec![other.as_slice(); tower.frames_at_once() + 2];
        frames[1] = &frame;
        frames[tower.frames_at_once() + 1] = &frame;
        let many = tower.encode_frames(&frames).unwrap();
        let many: Vec<&[f32]> = many.chunks(found.len()).collect();
        assert_eq!(many.len(), frames.len());
        for at in [1, frames.len() - 1] {
            assert_close(many[at], &found, share, &what);
        }
        let others = exact.encode(&other).unwrap();
        for at in [0, 2, frames.len() - 2] {
            assert_close(many[at], &others, share, &what);
        }
    }
}

#[test]
fn cards_compute_in_16_bits_unless_they_are_told_otherwise() {
    assert_eq!(Precision::default().on_a_card(), CardPrecision::F16);
    assert_eq!(TOWER_PRECISION.on_a_card(), CardPrecision::Bf16);
    assert_eq!(Precision::F32.on_a_card(), CardPrecision::F32);
}
