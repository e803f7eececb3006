//! Folders against transformers, and folders that are spoiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use longtrainer_kernels::Team;
use safetensors::Dtype;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::decoder::{Decoder, DecoderConfig};
use crate::engine::LanguageModel;
use crate::hub::{self, HubModel, HubTensor, Reference};
use crate::kernel_decoder::KernelDecoder;
use crate::model_file::ModelFile;
use crate::prompt::PromptBuilder;
use crate::{
    Error, GenerateRequest, GgufTextModel, Message, Result, Role, StreamItem, TextModel,
    TextModelOptions,
};

/// Of f32 logits of up to 40 to those of transformers, through Candle.
const CANDLE_TOLERANCE: f32 = 5e-5;

/// Through the kernels, which keep keys and values in half precision.
const KERNEL_TOLERANCE: f32 = 0.01;

fn written(model: &HubModel, dtype: Dtype) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    model.write(folder.path(), dtype);
    folder
}

fn kernels(file: &ModelFile) -> Option<KernelDecoder> {
    let config = DecoderConfig::from_gguf(file).unwrap();
    let obstacle = KernelDecoder::obstacle(file, &config);
    let load = || KernelDecoder::from_gguf(file, Arc::new(Team::alone())).unwrap();
    obstacle.is_none().then(load)
}

fn logits<M: LanguageModel>(model: &M, tokens: &[u32]) -> Vec<f32> {
    let mut cache = model.new_cache(tokens.len());
    model.step_one(tokens, &mut cache, 1).unwrap()
}

/// Logits after the tokens, and the tokens that follow greedily.
fn greedy<M: LanguageModel>(model: &M, tokens: &[u32], count: usize) -> Vec<u32> {
    let mut cache = model.new_cache(tokens.len() + count);
    let mut logits = model.step_one(tokens, &mut cache, 1).unwrap();
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let numbered = (0u32..).zip(&logits);
        let best = numbered.max_by(|left, right| left.1.total_cmp(right.1));
        chosen.push(best.unwrap().0);
        logits = model
            .step_one(&chosen[chosen.len() - 1..], &mut cache, 1)
            .unwrap();
    }
    chosen
}

fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn cosine(found: &[f32], expected: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    dot(found, expected) / (dot(found, found) * dot(expected, expected)).sqrt()
}

#[test]
fn every_architecture_gives_the_logits_of_transformers() {
    let (mut candle_worst, mut kernel_worst) = (0.0f32, 0.0f32);
    for model in hub::reference().models {
        let name = &model.architecture;
        let folder = written(&model, Dtype::F32);
        let file = ModelFile::open(folder.path()).unwrap();
        let candle = Decoder::from_gguf(&file, &Device::Cpu).unwrap();
        let far = distance(&logits(&candle, &model.tokens), &model.logits);
        assert!(far < CANDLE_TOLERANCE, "{name}: {far}");
        candle_worst = candle_worst.max(far);
        let count = model.greedy.len();
        assert_eq!(
            greedy(&candle, &model.tokens, count),
            model.greedy,
            "{name}"
        );
        let Some(kernels) = kernels(&file) else {
            assert_eq!(name, "Gemma2ForCausalLM", "no kernels");
            continue;
        };
        let far = distance(&logits(&kernels, &model.tokens), &model.logits);
        assert!(far < KERNEL_TOLERANCE, "{name}: {far}");
        kernel_worst = kernel_worst.max(far);
        assert_eq!(
            greedy(&kernels, &model.tokens, count),
            model.greedy,
            "{name}"
        );
    }
    eprintln!("largest difference: Candle {candle_worst}, kernels {kernel_worst}");
}

#[test]
fn weights_in_half_precision_are_multiplied_as_they_are() {
    for model in hub::reference().models {
        for dtype in [Dtype::BF16, Dtype::F16] {
            let name = format!("{} {dtype:?}", model.architecture);
            let folder = written(&model, dtype);
            let file = ModelFile::open(folder.path()).unwrap();
            let candle = Decoder::from_gguf(&file, &Device::Cpu).unwrap();
            let far = distance(&logits(&candle, &model.tokens), &model.logits);
            assert!(far < CANDLE_TOLERANCE, "{name}: {far}");
            if let Some(kernels) = kernels(&file) {
                let near = cosine(&logits(&kernels, &model.tokens), &model.logits);
                assert!(near > 0.9995, "{name}: {near}");
                let values = model
                    .tensors()
                    .iter()
                    .map(|t| t.values.len())
                    .sum::<usize>();
                assert!(kernels.weight_bytes() < 3 * values, "{name}");
            }
        }
    }
}

#[test]
fn weights_may_be_rounded_while_they_are_read() {
    for model in hub::reference().models {
        let folder = written(&model, Dtype::BF16);
        let open = || ModelFile::open(folder.path()).unwrap();
        let [Some(dense), Some(rounded)] =
            [open(), open().with_rounded_weights(true)].map(|file| kernels(&file))
        else {
            continue;
        };
        let near = cosine(&logits(&rounded, &model.tokens), &model.logits);
        assert!(
            near > 0.998 && near < 0.999_999_9,
            "{}: {near}",
            model.architecture
        );
        let (few, many) = (rounded.weight_bytes(), dense.weight_bytes());
        assert!(
            few * 10 < many * 7,
            "{}: {few} of {many} bytes",
            model.architecture
        );
    }
}

/// Writes a model in four files with an index.
fn write_sharded(model: &HubModel, folder: &Path) {
    hub::write_json(folder, "config.json", &model.config);
    let tensors = model.tensors();
    let mut map = serde_json::Map::new();
    for (number, part) in tensors.chunks(tensors.len() / 4 + 1).enumerate() {
        let name = format!("model-{number}.safetensors");
        hub::save(&folder.join(&name), part, Dtype::F32);
        for tensor in part {
            map.insert(tensor.name.clone(), json!(name));
        }
    }
    let index = json!({"metadata": {"total_size": 0}, "weight_map": map});
    hub::write_json(folder, "model.safetensors.index.json", &index);
}

#[test]
fn a_model_in_several_files_is_the_model_in_one() {
    let model = &hub::reference().models[0];
    let whole = written(model, Dtype::F32);
    let parts = tempfile::tempdir().unwrap();
    write_sharded(model, parts.path());
    let [whole, parts] = [whole, parts].map(|folder| {
        let file = ModelFile::open(folder.path()).unwrap();
        logits(&kernels(&file).unwrap(), &model.tokens)
    });
    assert_eq!(whole, parts);
}

#[test]
fn requests_beyond_the_first_context_get_the_long_factors() {
    let reference = hub::reference();
    let model = reference.models.last().unwrap();
    let folder = written(model, Dtype::F32);
    let file = ModelFile::open(folder.path()).unwrap();
    let config = DecoderConfig::from_gguf(&file).unwrap();
    assert_eq!(config.rotary.original_context, Some(64));
    assert_eq!(config.rotary.width, 6);
    // The root of 1 + ln(400 / 64) / ln(64).
    assert!(
        (config.rotary.magnitude - 1.200_22).abs() < 1e-4,
        "{}",
        config.rotary.magnitude
    );
    let decoder = kernels(&file).unwrap();
    let [short, long] = [64, 65].map(|limit| {
        let mut cache = decoder.new_cache(limit);
        decoder.step_one(&model.tokens, &mut cache, 1).unwrap()
    });
    assert!(distance(&short, &long) > 1e-2);
}

/// A folder with everything, to be spoiled.
struct Sample {
    folder: TempDir,
    reference: Reference,
}

impl Sample {
    fn new() -> Self {
        let reference = hub::reference();
        let folder = tempfile::tempdir().unwrap();
        reference.models[0].write(folder.path(), Dtype::BF16);
        reference.write_tokenizer(folder.path(), 0);
        Self { folder, reference }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn model(&self) -> &HubModel {
        &self.reference.models[0]
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap();
        change(&mut value);
        hub::write_json(self.folder.path(), name, &value);
    }

    fn change_tensors(&self, change: impl FnOnce(&mut Vec<HubTensor>)) {
        let mut tensors = self.model().tensors();
        change(&mut tensors);
        hub::save(&self.path("model.safetensors"), &tensors, Dtype::BF16);
    }

    fn load(&self) -> Result<()> {
        let file = ModelFile::open(self.folder.path())?;
        PromptBuilder::from_gguf("tiny", &file)?;
        KernelDecoder::from_gguf(&file, Arc::new(Team::alone()))?;
        Ok(())
    }

    /// The whole message of the error, causes included.
    fn error(&self) -> String {
        let error = self.load().unwrap_err();
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            message = format!("{message}: {error}");
            source = error.source();
        }
        message
    }
}

#[test]
fn what_is_wrong_with_a_configuration_is_named() {
    Sample::new().load().unwrap();
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 14] = [
        (
            |config| config["architectures"] = json!(["MambaForCausalLM"]),
            &["architecture \"MambaForCausalLM\"", "LlamaForCausalLM"],
        ),
        (
            |config| config["architectures"] = Value::Null,
            &["config.json", "architectures is missing"],
        ),
        (
            |config| config["text_config"] = Value::Null,
            &["text_config is missing"],
        ),
        (
            |config| config["text_config"]["model_type"] = json!("mamba"),
            &["text model \"mamba\""],
        ),
        (
            |config| config["text_config"]["hidden_size"] = json!("32"),
            &["text_config.hidden_size is not a whole number"],
        ),
        (
            |config| config["text_config"]["num_attention_heads"] = json!(0),
            &["text_config.num_attention_heads is 0"],
        ),
        (
            |config| config["text_config"]["num_key_value_heads"] = json!(3),
            &["4 query heads cannot share 3 key heads"],
        ),
        (
            |config| config["text_config"]["hidden_size"] = json!(64),
            &[
                "model.text_model.embed_tokens.weight",
                "[384, 32]",
                "[384, 64]",
            ],
        ),
        (
            |config| config["text_config"]["vocab_size"] = json!(385),
            &["embed_tokens.weight", "text_config.vocab_size is 385"],
        ),
        (
            |config| config["text_config"]["num_hidden_layers"] = json!(3),
            &[
                "model.text_model.layers.2.input_layernorm.weight",
                "missing",
            ],
        ),
        (
            |config| config["text_config"]["num_hidden_layers"] = json!(1),
            &[
                "model.text_model.layers.1.",
                "no model of this architecture has it",
            ],
        ),
        (
            |config| config["text_config"]["hidden_act"] = json!("relu"),
            &["activation \"relu\""],
        ),
        (
            |config| config["text_config"]["rope_parameters"] = json!({"rope_type": "yarn"}),
            &["rotary scaling \"yarn\""],
        ),
        (
            |config| config["quantization_config"] = json!({"quant_method": "awq"}),
            &["quantisation \"awq\""],
        ),
    ];
    for (change, parts) in cases {
        let sample = Sample::new();
        sample.change("config.json", change);
        let error = sample.error();
        for part in parts {
            assert!(error.contains(part), "{error}: no {part:?}");
        }
    }
}

#[test]
fn what_is_wrong_with_tensors_is_named() {
    type Change = fn(&mut Vec<HubTensor>);
    let cases: [(Change, &[&str]); 6] = [
        (
            |tensors| tensors.retain(|t| t.name != "lm_head.weight"),
            &["lm_head.weight", "tie_word_embeddings"],
        ),
        (
            |tensors| tensors.retain(|t| !t.name.ends_with("1.mlp.up_proj.weight")),
            &["model.text_model.layers.1.mlp.up_proj.weight", "missing"],
        ),
        (
            |tensors| tensors.retain(|t| !t.name.ends_with("embed_tokens.weight")),
            &["model.text_model.embed_tokens.weight", "missing"],
        ),
        (
            |tensors| {
                let tensor = tensors
                    .iter_mut()
                    .find(|t| t.name.ends_with("0.mlp.down_proj.weight"))
                    .unwrap();
                tensor.dims.reverse();
            },
            &[
                "model.text_model.layers.0.mlp.down_proj.weight",
                "[64, 32]",
                "[32, 64]",
                "model.safetensors",
            ],
        ),
        (
            |tensors| {
                let tensor = tensors
                    .iter_mut()
                    .find(|t| t.name.ends_with("0.mlp.down_proj.weight"))
                    .unwrap();
                tensor.values[7] = f32::NAN;
            },
            &[
                "model.text_model.layers.0.mlp.down_proj.weight",
                "not finite",
            ],
        ),
        (
            |tensors| {
                let mut tensor = tensors[0].clone();
                tensor.name = "model.text_model.layers.0.mlp.experts.weight".to_owned();
                tensors.push(tensor);
            },
            &["model.text_model.layers.0.mlp.experts.weight"],
        ),
    ];
    for (change, parts) in cases {
        let sample = Sample::new();
        sample.change_tensors(change);
        let error = sample.error();
        for part in parts {
            assert!(error.contains(part), "{error}: no {part:?}");
        }
    }
}

#[test]
fn what_is_wrong_with_files_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let error = ModelFile::open(empty.path()).unwrap_err();
    assert!(
        matches!(&error, Error::Read { path, .. } if path.ends_with("config.json")),
        "{error}"
    );
    let error = ModelFile::open(&empty.path().join("none")).unwrap_err();
    assert!(
        matches!(&error, Error::Read { path, .. } if path.ends_with("none")),
        "{error}"
    );

    let sample = Sample::new();
    fs::write(sample.path("config.json"), "[1]").unwrap();
    assert!(sample.error().contains("does not hold a JSON object"));
    fs::write(sample.path("config.json"), "{").unwrap();
    assert!(matches!(sample.load(), Err(Error::Config { .. })));

    let sample = Sample::new();
    fs::remove_file(sample.path("model.safetensors")).unwrap();
    assert!(sample.error().contains("neither model.safetensors nor"));
    fs::create_dir(sample.path("model.safetensors")).unwrap();
    assert!(sample.error().contains("not a file"));

    let sample = Sample::new();
    let whole = fs::read(sample.path("model.safetensors")).unwrap();
    for length in [0, 7, 100, whole.len() - 1] {
        fs::write(sample.path("model.safetensors"), &whole[..length]).unwrap();
        let error = sample.error();
        assert!(error.contains("model.safetensors"), "{error}");
    }
}

#[test]
fn what_is_wrong_with_shards_is_named() {
    let index = "model.safetensors.index.json";
    let sharded = || {
        let sample = Sample::new();
        fs::remove_file(sample.path("model.safetensors")).unwrap();
        write_sharded(sample.model(), sample.folder.path());
        sample
    };
    sharded().load().unwrap();
    let sample = sharded();
    fs::remove_file(sample.path("model-1.safetensors")).unwrap();
    assert!(sample.error().contains("model-1.safetensors"));
    let sample = sharded();
    sample.change(index, |index| {
        index["weight_map"]["model.more"] = json!("model-0.safetensors")
    });
    assert!(sample.error().contains("tensor model.more"));
    let sample = sharded();
    fs::copy(
        sample.path("model-1.safetensors"),
        sample.path("model-9.safetensors"),
    )
    .unwrap();
    let twice = "model.text_model.norm.weight";
    sample.change(index, |index| {
        index["weight_map"][twice] = json!("model-9.safetensors")
    });
    assert!(sample.error().contains("twice"), "{}", sample.error());
    for outside in [
        "../model.safetensors",
        "/model.safetensors",
        "C:\\a.safetensors",
        "model.bin",
        "",
    ] {
        let sample = sharded();
        sample.change(index, |index| {
            index["weight_map"]["lm_head.weight"] = json!(outside)
        });
        assert!(
            sample.error().contains("no file of the folder"),
            "{}",
            sample.error()
        );
    }
}

#[test]
fn bits_that_flip_never_make_a_panic() {
    let sample = Sample::new();
    let files = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ];
    let mut state = 7u64;
    for file in files {
        let whole = fs::read(sample.path(file)).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                let place = (state >> 33) as usize % bytes.len().min(6_000);
                bytes[place] ^= 1 << ((state >> 20) % 8);
            }
            fs::write(sample.path(file), &bytes).unwrap();
            // Loads or does not, but says so.
            if let Err(error) = sample.load() {
                assert!(!error.to_string().is_empty());
            }
        }
        fs::write(sample.path(file), &whole).unwrap();
    }
    sample.load().unwrap();
}

#[test]
fn a_folder_answers_through_the_engine() {
    let sample = Sample::new();
    let model = GgufTextModel::load("tiny", sample.folder.path(), &TextModelOptions::default());
    let model = model.unwrap();
    assert_eq!(model.info().context_length, 400);
    let messages = vec![Message::new(Role::User, "Can you describe this image?")];
    let request = GenerateRequest {
        top_logprobs: Some(0),
        ..GenerateRequest::new(messages.clone(), 24)
    };
    let items = model.generate(request).unwrap().map(|item| item.unwrap());
    let tokens = items.filter_map(|item| match item {
        StreamItem::Token(choice) => Some(choice.chosen.token),
        StreamItem::Text(_) | StreamItem::Done(_) => None,
    });
    let tokens: Vec<u32> = tokens.collect();
    let file = ModelFile::open(sample.folder.path()).unwrap();
    let prompts = PromptBuilder::from_gguf("tiny", &file).unwrap();
    let prompt = prompts.tokens(&messages).unwrap();
    let expected = greedy(&kernels(&file).unwrap(), &prompt, 24);
    let end = |token: &u32| !prompts.tokenizer().is_end(*token);
    let expected: Vec<u32> = expected.into_iter().take_while(end).collect();
    assert!(!expected.is_empty());
    assert_eq!(tokens, expected);
}

#[test]
fn a_vocabulary_that_is_larger_than_the_embedding_is_an_error() {
    let sample = Sample::new();
    sample.change("tokenizer.json", |tokenizer| {
        tokenizer["added_tokens"][3]["id"] = json!(384);
    });
    let error = GgufTextModel::load("tiny", sample.folder.path(), &TextModelOptions::default());
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("has the id 384, but the embedding has 384 rows"),
        "{error}"
    );
}
