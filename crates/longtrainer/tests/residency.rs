//! Models in memory, as a program sees them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::Arc;

use longtrainer::models::Role;
use longtrainer::{
    Chunk, Embedder, Error, ErrorKind, KeepAlive, LongTrainer, MemoryBudget, ResponseOptions,
    TextModel,
};
use support::{Behaviour, ScriptedModel, WordEmbedder, World, eventually};

fn is_in_use(trainer: &LongTrainer, name: &str) -> bool {
    let loaded = trainer.loaded_models();
    loaded
        .iter()
        .any(|model| model.name == name && model.in_use)
}

#[test]
fn an_answer_holds_its_model_until_its_stream_has_ended() {
    let world = World::new();
    let bot = world.bot(&["Milk is white."]);
    let chat = world.trainer.new_chat(&bot).unwrap();
    assert!(!is_in_use(&world.trainer, "scripted"));
    world.model.behave(Behaviour::Ramble);
    let mut stream = world
        .trainer
        .stream_response("milk?", &bot, &chat, ResponseOptions::default())
        .unwrap();
    while !matches!(stream.next(), Some(Ok(Chunk::Text(_)))) {}
    assert!(is_in_use(&world.trainer, "scripted"));
    assert!(
        !is_in_use(&world.trainer, "words"),
        "the question is embedded"
    );
    drop(stream);
    eventually("the model is given back", || {
        !is_in_use(&world.trainer, "scripted")
    });
}

#[test]
fn ready_models_are_listed_and_stay() {
    let world = World::new();
    let loaded = world.trainer.loaded_models();
    let told: Vec<_> = loaded
        .iter()
        .map(|m| (m.name.as_str(), m.role, m.pinned))
        .collect();
    assert_eq!(
        told,
        [
            ("eyes", Role::Vision, true),
            ("scripted", Role::Text, true),
            ("words", Role::Embedding, true)
        ]
    );
    let error = world.trainer.unload_model("words").unwrap_err();
    assert!(matches!(&error, Error::ModelPinned { name } if name == "words"));
    assert_eq!(error.kind(), ErrorKind::Conflict);
    world.trainer.load_model("words", Role::Embedding).unwrap();
}

#[test]
fn names_that_mean_nothing_or_something_else_are_errors() {
    let trainer = World::new().trainer;
    for role in [Role::Text, Role::Embedding] {
        let error = trainer.load_model("no such model", role).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    let error = trainer.unload_model("no such model").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

    let embedder = trainer.models().default_for(Role::Embedding).unwrap();
    let name = embedder.name.clone();
    for role in [Role::Text, Role::Vision] {
        let error = trainer.load_model(&name, role).unwrap_err();
        assert!(
            matches!(&error, Error::ModelRole { name: of, .. } if *of == name),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(
        !trainer.unload_model(&name).unwrap(),
        "it is known, but not loaded"
    );
}

#[test]
fn a_budget_is_kept_before_a_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("model.gguf");
    std::fs::write(&file, [0; 100]).unwrap();
    let name = file.to_str().unwrap();
    let open = |data: &str, budget| {
        LongTrainer::builder(dir.path().join(data))
            .memory_budget(budget)
            .keep_alive(KeepAlive::For(std::time::Duration::ZERO))
            .embedder(WordEmbedder::new("words") as Arc<dyn Embedder>)
            .text_model(ScriptedModel::new(100) as Arc<dyn TextModel>)
            .build()
    };
    let Err(error) = open("nothing", MemoryBudget::Bytes(0)) else {
        panic!("a budget of nothing");
    };
    assert!(
        matches!(
            &error,
            Error::InvalidSetting {
                name: "memory_budget",
                ..
            }
        ),
        "{error}"
    );

    let trainer = open("small", MemoryBudget::Bytes(99)).unwrap();
    let error = trainer.load_model(name, Role::Text).unwrap_err();
    assert!(
        matches!(&error, Error::OutOfModelMemory { model, needed: 100, budget: 99, .. } if model == name),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    let trainer = open("enough", MemoryBudget::Bytes(100)).unwrap();
    let error = trainer.load_model(name, Role::Text).unwrap_err();
    assert!(
        matches!(&error, Error::Inference(_)),
        "now it is read, and is no model: {error}"
    );
    assert_eq!(trainer.loaded_models().len(), 2);
}
