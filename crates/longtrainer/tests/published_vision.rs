//! The published vision model by its name: a folder of its shape, with the files that the built-in list
//! names and no others, lies in the models folder and is loaded and asked, offline.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../inference/tests/support/hub.rs"]
mod hub;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use longtrainer::models::{ModelEntry, Registry, RegistryOptions, Role, Source, sha256_of_file};
use longtrainer::{BotOptions, Defaults, ImageInput, LongTrainer, ResponseOptions};
use safetensors::Dtype;
use serde_json::json;
use tempfile::TempDir;

const NAME: &str = "SmolVLM-256M-Instruct";

/// The built-in entry.
fn entry() -> ModelEntry {
    let registry = Registry::open(RegistryOptions::default()).unwrap();
    registry.entry(NAME).unwrap().clone()
}

/// Writes a small model of both halves, of which transformers gave the shape, and takes away whatever
/// the list does not name.
fn write_model(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let reference = hub::reference();
    reference.models[0].write(folder, Dtype::BF16);
    reference.write_tokenizer(folder, 0);
    hub::write_json(folder, "special_tokens_map.json", &json!({}));
    let preprocessor = json!({
        "size": {"longest_edge": 128}, "max_image_size": {"longest_edge": 32},
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    });
    hub::write_json(folder, "preprocessor_config.json", &preprocessor);
    let listed = entry().files;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if !listed.iter().any(|file| path.ends_with(&file.path)) {
            fs::remove_file(path).unwrap();
        }
    }
}

/// The built-in entry with the hash of other weights.
fn write_list(path: &Path, weights: &Path) {
    let entry = entry();
    let [Source::Hub(source)] = &entry.sources[..] else {
        panic!("{:?}", entry.sources)
    };
    let mut text = format!(
        "version = 1\n[[model]]\nname = {NAME:?}\nrole = \"vision\"\ndescription = \"small\"\n\
         licence = {:?}\nweights = {:?}\n",
        entry.licence, entry.weights
    );
    for file in &entry.files {
        writeln!(text, "[[model.file]]\npath = {:?}", file.path).unwrap();
        if file.path == entry.weights {
            let size = fs::metadata(weights).unwrap().len();
            let sha256 = sha256_of_file(weights).unwrap();
            writeln!(text, "size = {size}\nsha256 = {sha256:?}").unwrap();
        }
    }
    let (repo, revision) = (&source.repo, &source.revision);
    writeln!(
        text,
        "[[model.source]]\nkind = \"hub\"\nrepo = {repo:?}\nrevision = {revision:?}"
    )
    .unwrap();
    fs::write(path, text).unwrap();
}

/// A bitmap of 24 bits a pixel; `width` is a multiple of 4, so that rows need no filling.
fn red_bitmap(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    let numbers = [54 + 3 * width * height, 0, 54, 40, width, height];
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    bytes.extend([0, 0, 255].repeat((width * height) as usize));
    bytes
}

struct World {
    root: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            root: tempfile::tempdir().unwrap(),
        };
        write_model(&world.folder());
        write_list(&world.list(), &world.folder().join("model.safetensors"));
        world
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("models").join(NAME)
    }

    fn list(&self) -> PathBuf {
        self.root.path().join("models.toml")
    }

    fn open(&self) -> LongTrainer {
        let registry = RegistryOptions {
            models_dir: Some(self.root.path().join("models")),
            offline: true,
            manifest: Some(self.list()),
        };
        let defaults = Defaults {
            vision_model: Some(NAME.to_owned()),
            // The small model knows positions for few tokens.
            prompt_template: "{context}".to_owned(),
            max_answer_tokens: 8,
            ..Defaults::default()
        };
        LongTrainer::builder(self.root.path().join("data"))
            .registry(registry)
            .defaults(defaults)
            .build()
            .unwrap()
    }
}

#[test]
fn the_published_model_is_one_name_away() {
    let world = World::new();
    let trainer = world.open();
    trainer.load_model(NAME, Role::Vision).unwrap();

    let bot = trainer.initialize_bot_id().unwrap();
    trainer.create_bot(&bot, BotOptions::default()).unwrap();
    let chat = trainer.new_vision_chat(&bot).unwrap();
    let picture = world.root.path().join("picture.bmp");
    fs::write(&picture, red_bitmap(40, 30)).unwrap();
    let answer = trainer
        .get_vision_response(
            "What is it?",
            [ImageInput::from(&picture)],
            &bot,
            &chat,
            ResponseOptions::default(),
        )
        .unwrap();
    assert!(answer.usage.completion_tokens > 0, "{answer:?}");
}

#[test]
fn a_configuration_that_changed_since_is_not_loaded() {
    let world = World::new();
    world.open().load_model(NAME, Role::Vision).unwrap();
    let config = world.folder().join("preprocessor_config.json");
    let other = fs::read_to_string(&config).unwrap().replace("0.5", "0.25");
    fs::write(&config, other).unwrap();
    let error = world.open().load_model(NAME, Role::Vision).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains(config.to_str().unwrap()) && message.contains("has changed"),
        "{message}"
    );
}
