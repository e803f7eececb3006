//! A tiny random encoder: order, batches and everything that can be wrong with a folder.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const HIDDEN: usize = 8;
const WORDS: usize = 12;
const POSITIONS: usize = 16;

struct Folder {
    folder: TempDir,
    tensors: HashMap<String, Tensor>,
    random: u64,
}

impl Folder {
    fn new() -> Self {
        let mut folder = Self {
            folder: tempfile::tempdir().unwrap(),
            tensors: HashMap::new(),
            random: 3,
        };
        folder.write("config.json", &config("bert"));
        folder.write("tokenizer.json", &tokenizer());
        folder.add_tensors();
        folder.save_tensors();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, value: &Value) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value.to_string()).unwrap();
    }

    fn add(&mut self, name: &str, dims: &[usize]) {
        let count: usize = dims.iter().product();
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            self.random = self
                .random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            values.push((self.random >> 40) as f32 / (1u64 << 23) as f32 - 1.0);
        }
        self.tensors.insert(
            name.to_owned(),
            Tensor::from_vec(values, dims, &Device::Cpu).unwrap(),
        );
    }

    fn add_tensors(&mut self) {
        self.add("embeddings.word_embeddings.weight", &[WORDS, HIDDEN]);
        self.add(
            "embeddings.position_embeddings.weight",
            &[POSITIONS, HIDDEN],
        );
        self.add("embeddings.token_type_embeddings.weight", &[2, HIDDEN]);
        let layer = "encoder.layer.0.";
        for norm in [
            "embeddings.",
            "encoder.layer.0.attention.output.",
            "encoder.layer.0.output.",
        ] {
            self.add(&format!("{norm}LayerNorm.weight"), &[HIDDEN]);
            self.add(&format!("{norm}LayerNorm.bias"), &[HIDDEN]);
        }
        let maps = [
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", 2 * HIDDEN, HIDDEN),
            ("output.dense", HIDDEN, 2 * HIDDEN),
        ];
        for (name, outputs, inputs) in maps {
            self.add(&format!("{layer}{name}.weight"), &[outputs, inputs]);
            self.add(&format!("{layer}{name}.bias"), &[outputs]);
        }
    }

    fn save_tensors(&self) {
        candle_core::safetensors::save(&self.tensors, self.path("model.safetensors")).unwrap();
    }

    fn load(&self) -> Result<BertEmbedder> {
        self.load_in(Precision::F32)
    }

    fn load_in(&self, precision: Precision) -> Result<BertEmbedder> {
        let options = EmbedderOptions {
            precision,
            ..Default::default()
        };
        BertEmbedder::load("tiny", self.folder.path(), "00", &options)
    }

    /// The same model through Candle, in f32.
    fn candle(&self) -> CandleBert {
        let folder = ModelFolder::open(self.folder.path()).unwrap();
        CandleBert::load(&folder, &Device::Cpu, CardPrecision::F32).unwrap()
    }
}

fn config(kind: &str) -> Value {
    json!({
        "model_type": kind, "vocab_size": WORDS, "hidden_size": HIDDEN, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 2 * HIDDEN, "hidden_act": "gelu",
        "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "pad_token_id": 0,
    })
}

fn tokenizer() -> Value {
    let words = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d", "e", "f", "g", "h",
    ];
    let vocabulary: serde_json::Map<String, Value> = words
        .iter()
        .enumerate()
        .map(|(id, word)| ((*word).to_owned(), json!(id)))
        .collect();
    let special = |word: &str, id: u32| json!({"id": word, "ids": [id], "tokens": [word]});
    let piece = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [piece("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, piece("[SEP]")],
            "pair": [piece("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, piece("[SEP]")],
            "special_tokens": {"[CLS]": special("[CLS]", 2), "[SEP]": special("[SEP]", 3)},
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    })
}

fn assert_close(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    for (left, right) in left.iter().zip(right) {
        assert!((left - right).abs() < 1e-5, "{left} and {right}");
    }
}

const TEXTS: [&str; 7] = [
    "a b c",
    "",
    "h g f e d c b a h g",
    "a",
    "zzz",
    "b b b b b",
    "c d",
];

#[test]
fn vectors_do_not_depend_on_order_or_company() {
    let embedder = Folder::new().load().unwrap();
    let together = embedder.embed(&TEXTS).unwrap();
    for (text, vector) in TEXTS.iter().zip(&together) {
        assert_close(&embedder.embed(&[text]).unwrap()[0], vector);
        let norm: f32 = vector.iter().map(|value| value * value).sum();
        assert!((norm - 1.0).abs() < 1e-5);
    }
    let reversed: Vec<&str> = TEXTS.iter().rev().copied().collect();
    for (vector, other) in embedder
        .embed(&reversed)
        .unwrap()
        .iter()
        .rev()
        .zip(&together)
    {
        assert_close(vector, other);
    }
    assert!(embedder.embed(&[]).unwrap().is_empty());
}

#[test]
fn the_kernels_agree_with_candle() {
    for (kind, activation, pooling) in [
        ("bert", "gelu", "pooling_mode_mean_tokens"),
        ("bert", "gelu_new", "pooling_mode_cls_token"),
        ("bert", "relu", "pooling_mode_mean_tokens"),
    ] {
        let folder = Folder::new();
        let mut config = config(kind);
        config["hidden_act"] = json!(activation);
        folder.write("config.json", &config);
        folder.write("1_Pooling/config.json", &json!({pooling: true}));
        let embedder = folder.load().unwrap();
        let tokens = embedder.tokenize(&TEXTS).unwrap().into_iter();
        let tokens = tokens.map(|text| text.tokens).collect();
        let expected = folder.candle().embed(tokens).unwrap();
        for (vector, expected) in embedder.embed(&TEXTS).unwrap().iter().zip(&expected) {
            assert_close(vector, expected);
        }
        for precision in [Precision::Bf16, Precision::Mixed, Precision::Int8] {
            let embedder = folder.load_in(precision).unwrap();
            for (vector, expected) in embedder.embed(&TEXTS).unwrap().iter().zip(&expected) {
                let cosine: f32 = vector.iter().zip(expected).map(|(l, r)| l * r).sum();
                assert!(cosine > 0.999, "{precision:?} {activation}: {cosine}");
            }
        }
    }
}

#[test]
fn vectors_beyond_what_is_computed_in_are_errors_and_not_given_out() {
    let mut folder = Folder::new();
    // Each fits f16, and some of their sums do not.
    for name in ["word_embeddings", "position_embeddings"] {
        let name = format!("embeddings.{name}.weight");
        let large = (&folder.tensors[&name] * 60_000.0).unwrap();
        folder.tensors.insert(name, large);
    }
    folder.save_tensors();
    let embed = |precision| {
        let folder = ModelFolder::open(folder.folder.path()).unwrap();
        let bert = CandleBert::load(&folder, &Device::Cpu, precision).unwrap();
        bert.embed(vec![vec![2, 4, 3]])
    };
    let error = embed(CardPrecision::F16).unwrap_err().to_string();
    assert!(error.contains("F16"), "{error}");
    assert!(embed(CardPrecision::F32).is_ok());
}

#[test]
fn candle_refuses_tokens_that_are_out_of_range_and_bears_empty_texts() {
    let bert = Folder::new().candle();
    for tokens in [vec![WORDS as u32], vec![2; POSITIONS + 1]] {
        assert!(bert.embed(vec![vec![2, 3], tokens]).is_err());
    }
    let vectors = bert.embed(vec![vec![], vec![2, 4, 3]]).unwrap();
    assert_eq!(vectors[0], [0.0; HIDDEN]);
    assert_close(&vectors[1], &bert.embed(vec![vec![2, 4, 3]]).unwrap()[0]);
}

#[test]
fn tokens_out_of_range_are_errors() {
    let embedder = Folder::new().load().unwrap();
    for tokens in [vec![WORDS as u32], vec![2; POSITIONS + 1]] {
        let error = embedder.embed_tokens(vec![tokens]).unwrap_err();
        assert!(matches!(error, Error::Compute { .. }), "{error}");
    }
    assert_eq!(
        embedder.embed_tokens(vec![vec![]]).unwrap(),
        [[0.0; HIDDEN]]
    );
}

#[test]
fn information_is_that_of_the_folder() {
    let folder = Folder::new();
    folder.write("sentence_bert_config.json", &json!({"max_seq_length": 7}));
    let info = folder.load().unwrap().info().clone();
    assert_eq!((info.dimension, info.max_tokens), (HIDDEN, 7));
    assert_eq!((info.model.as_str(), info.device.as_str()), ("tiny", "cpu"));
}

#[test]
fn texts_are_cut_at_the_limit_of_the_model() {
    let folder = Folder::new();
    folder.write("sentence_bert_config.json", &json!({"max_seq_length": 5}));
    let embedder = folder.load().unwrap();
    let vectors = embedder.embed(&["a b c", "a b c d e f", "a b d"]).unwrap();
    assert_close(&vectors[0], &vectors[1]);
    assert_ne!(vectors[0], vectors[2]);
    folder.write(
        "sentence_bert_config.json",
        &json!({"max_seq_length": 1000}),
    );
    let embedder = folder.load().unwrap();
    assert_eq!(embedder.info().max_tokens, POSITIONS);
    embedder.embed(&["a ".repeat(500).as_str()]).unwrap();
}

#[test]
fn roberta_counts_positions_from_after_the_padding_id() {
    let bert = Folder::new();
    let expected = bert.load().unwrap().embed(&TEXTS).unwrap();
    let mut roberta = Folder::new();
    roberta.write("config.json", &{
        let mut config = config("roberta");
        config["max_position_embeddings"] = json!(POSITIONS + 1);
        config
    });
    let name = "embeddings.position_embeddings.weight";
    let positions = bert.tensors[name].clone();
    let shifted = Tensor::cat(&[&positions.narrow(0, 9, 1).unwrap(), &positions], 0).unwrap();
    roberta.tensors = bert.tensors.clone();
    roberta.tensors.insert(name.to_owned(), shifted);
    let prefixed = roberta
        .tensors
        .iter()
        .map(|(name, tensor)| (format!("roberta.{name}"), tensor.clone()));
    roberta.tensors = prefixed.collect();
    roberta.save_tensors();
    for (vector, expected) in roberta
        .load()
        .unwrap()
        .embed(&TEXTS)
        .unwrap()
        .iter()
        .zip(&expected)
    {
        assert_close(vector, expected);
    }
}

#[test]
fn cls_pooling_differs_from_the_mean() {
    let folder = Folder::new();
    let mean = folder.load().unwrap().embed(&["a b"]).unwrap();
    folder.write(
        "1_Pooling/config.json",
        &json!({"pooling_mode_cls_token": true}),
    );
    assert_ne!(folder.load().unwrap().embed(&["a b"]).unwrap(), mean);
}

#[test]
fn what_cannot_be_run_is_named() {
    let cases = [
        ("config.json", config("mpnet"), "mpnet"),
        (
            "1_Pooling/config.json",
            json!({"pooling_mode_max_tokens": true}),
            "pooling_mode_max_tokens",
        ),
        (
            "1_Pooling/config.json",
            json!({"pooling_mode_mean_tokens": false}),
            "none",
        ),
        (
            "modules.json",
            json!([{"type": "sentence_transformers.models.Dense"}]),
            "models.Dense",
        ),
        (
            "config.json",
            {
                let mut config = config("bert");
                config["hidden_act"] = json!("swish");
                config
            },
            "swish",
        ),
        (
            "config.json",
            {
                let mut config = config("bert");
                config["position_embedding_type"] = json!("relative_key");
                config
            },
            "relative_key",
        ),
    ];
    for (file, value, name) in cases {
        let folder = Folder::new();
        folder.write(file, &value);
        let error = folder.load().unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert!(
            error.to_string().contains(name) && error.to_string().contains(file),
            "{error}"
        );
    }
}

#[test]
fn missing_files_are_named() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = Folder::new();
        fs::remove_file(folder.path(name)).unwrap();
        let error = folder.load().unwrap_err();
        assert!(
            matches!(&error, Error::Read { path, .. } if path.ends_with(name)),
            "{error:?}"
        );
    }
}

#[test]
fn damaged_files_are_errors() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = Folder::new();
        let bytes = fs::read(folder.path(name)).unwrap();
        for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            fs::write(folder.path(name), &bytes[..end]).unwrap();
            assert!(folder.load().is_err(), "{name} cut at {end}");
        }
    }
    let folder = Folder::new();
    folder.write("config.json", &{
        let mut config = config("bert");
        config["num_attention_heads"] = json!(3);
        config
    });
    assert!(matches!(folder.load(), Err(Error::BadModel { .. })));
}

#[test]
fn tensors_that_are_missing_misshapen_or_no_numbers_are_named() {
    let name = "encoder.layer.0.attention.self.key.weight";
    type Spoil = fn(&mut HashMap<String, Tensor>, &str);
    let spoil: [Spoil; 3] = [
        |tensors, name| drop(tensors.remove(name)),
        |tensors, name| {
            let wrong = Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
            tensors.insert(name.to_owned(), wrong);
        },
        |tensors, name| {
            let wrong = Tensor::full(f32::NAN, (HIDDEN, HIDDEN), &Device::Cpu).unwrap();
            tensors.insert(name.to_owned(), wrong);
        },
    ];
    for spoil in spoil {
        let mut folder = Folder::new();
        spoil(&mut folder.tensors, name);
        folder.save_tensors();
        match folder.load() {
            Err(Error::BadTensor { tensor, path, .. }) => {
                assert_eq!(tensor, name);
                assert!(path.ends_with("model.safetensors"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_tokenizer_with_more_words_than_the_model_is_an_error() {
    let mut folder = Folder::new();
    folder.write("config.json", &{
        let mut config = config("bert");
        config["vocab_size"] = json!(WORDS - 2);
        config
    });
    folder.add("embeddings.word_embeddings.weight", &[WORDS - 2, HIDDEN]);
    folder.save_tensors();
    assert!(matches!(folder.load(), Err(Error::BadModel { .. })));
}

#[test]
fn memory_is_that_of_the_weights_and_of_kept_buffers() {
    let folder = Folder::new();
    let values: usize = folder.tensors.values().map(Tensor::elem_count).sum();
    let weights = (values - 2 * HIDDEN) * size_of::<f32>();
    // The two rows of token types are added to the positions and then not kept; of the layer, each of the two heads has
    // eight more rows for each of its three maps, and all maps have eight more columns.
    let marks = (3 * 2 * 8 + 8) * (HIDDEN + 8) + 3 * HIDDEN * 8 + 2 * HIDDEN * 8 + 3 * 8 * HIDDEN;
    let biases = 3 * HIDDEN + HIDDEN + 2 * HIDDEN + HIDDEN;
    let expected = weights + (marks - biases) * size_of::<f32>();
    assert_eq!(folder.candle().memory_bytes(), expected);

    let embedder = folder.load().unwrap();
    let loaded = embedder.memory_bytes();
    // Our matrices are packed in tiles of whole rows, which are more than these have.
    assert!((weights..3 * weights).contains(&loaded), "{loaded}");
    embedder.embed(&["a b c"]).unwrap();
    let used = embedder.memory_bytes();
    assert!(used > loaded, "{used} {loaded}");
    embedder.embed(&["a b c"]).unwrap();
    assert_eq!(embedder.memory_bytes(), used);
}

#[test]
fn only_tokens_of_the_own_tokenizer_are_embedded_for_callers_outside() {
    let folder = Folder::new();
    folder.write("sentence_bert_config.json", &json!({"max_seq_length": 5}));
    let embedder = folder.load().unwrap();
    let seam: &dyn Embedder = &embedder;
    let texts = seam.tokenize(&["a b", "a b c d e f"]).unwrap();
    assert_eq!(
        (texts[0].is_cut, texts[0].tokens.as_slice()),
        (false, [2, 4, 5, 3].as_slice())
    );
    assert_eq!((texts[1].is_cut, texts[1].tokens.len()), (true, 5));
    let own = seam.embed_tokens(vec![vec![2, 4, 5, 3]]).unwrap();
    assert_eq!(own, seam.embed(&["a b"]).unwrap());
    let strange = WORDS as u32;
    for foreign in [
        vec![],
        vec![4, 5],
        vec![2, 4],
        vec![2, strange, 3],
        vec![2, 4, 4, 4, 4, 3],
    ] {
        match seam.embed_tokens(vec![vec![2, 4, 3], foreign.clone()]) {
            Err(Error::InvalidRequest { field, .. }) => assert_eq!(field, "tokens"),
            other => panic!("{foreign:?}: {other:?}"),
        }
    }
}
