//! Bots, their documents, builds and settings, through the public door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use longtrainer::{BotOptions, BotUpdate, Error, ErrorKind, LongTrainer};
use support::{WordEmbedder, World, documents};

const FACTS: [&str; 3] = [
    "Herons nest in tall trees.",
    "Cheese is made from milk.",
    "Granite cools slowly.",
];

fn embedded(world: &World) -> usize {
    *world.embedder.embedded.lock().unwrap()
}

#[test]
fn building_twice_embeds_nothing_and_duplicates_nothing() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    assert_eq!(embedded(&world), 3);

    let again = world
        .trainer
        .pass_documents(documents(&FACTS), &bot)
        .unwrap();
    assert_eq!((again.added.len(), again.already_there), (0, 3));
    let report = world
        .trainer
        .create_bot(&bot, BotOptions::default())
        .unwrap();
    assert_eq!(
        (report.documents, report.chunks, report.already_built),
        (0, 0, 3)
    );
    assert_eq!(embedded(&world), 3);

    world
        .trainer
        .pass_documents(documents(&[&FACTS[..], &["New."]].concat()), &bot)
        .unwrap();
    let report = world
        .trainer
        .create_bot(&bot, BotOptions::default())
        .unwrap();
    assert_eq!((report.documents, report.already_built), (1, 3));
    assert_eq!(embedded(&world), 4);
    assert_eq!(
        world
            .trainer
            .search(&bot, "herons", Some(100))
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn the_same_text_from_two_sources_is_kept_twice_and_found_once() {
    let world = World::new();
    let bot = world.bot(&["Herons nest in tall trees."; 4]);
    assert_eq!(world.trainer.get_documents(&bot).unwrap().len(), 4);
    assert_eq!(
        world
            .trainer
            .invoke_vectorstore(&bot, "herons")
            .unwrap()
            .len(),
        1
    );
    world
        .trainer
        .pass_documents(documents(&FACTS), &bot)
        .unwrap();
    world
        .trainer
        .create_bot(&bot, BotOptions::default())
        .unwrap();
    let found = world.trainer.invoke_vectorstore(&bot, "herons").unwrap();
    assert_eq!(found.len(), 3, "crowded out by repetitions");
}

#[test]
fn removed_documents_are_no_longer_found() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let listed = world.trainer.list_documents(&bot).unwrap();
    assert_eq!(
        listed.iter().map(|d| d.chunks).collect::<Vec<_>>(),
        [Some(1); 3]
    );

    let unknown = world
        .trainer
        .remove_documents(&bot, &[listed[0].document_id, 9999]);
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        world.trainer.list_documents(&bot).unwrap().len(),
        3,
        "nothing removed by halves"
    );

    assert_eq!(
        world
            .trainer
            .remove_documents(&bot, &[listed[0].document_id])
            .unwrap(),
        1
    );
    let found = world
        .trainer
        .invoke_vectorstore(&bot, "herons nest")
        .unwrap();
    assert!(
        found
            .iter()
            .all(|document| document.page_content != FACTS[0])
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_bot_survives_a_restart_and_the_loss_or_damage_of_its_index_file() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let file = world
        .dir
        .path()
        .join("indexes")
        .join(format!("{bot}.index"));
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let first = |world: &World| {
        world
            .trainer
            .invoke_vectorstore(&bot, "herons nest")
            .unwrap()[0]
            .page_content
            .clone()
    };

    let mut world = world.restart();
    assert_eq!(first(&world), FACTS[0]);
    for damage in [&whole[..whole.len() / 2], &flipped, b"", b"not an index"] {
        std::fs::write(&file, damage).unwrap();
        world = world.restart();
        assert_eq!(first(&world), FACTS[0]);
        assert_eq!(
            std::fs::read(&file).unwrap(),
            whole,
            "the file was made again"
        );
    }
    std::fs::remove_file(&file).unwrap();
    world = world.restart();
    assert_eq!(first(&world), FACTS[0]);
    assert_eq!(
        embedded(&world),
        3 + 6,
        "three documents and six questions: nothing twice"
    );
}

#[test]
fn settings_persist_and_only_what_is_named_changes() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let options = BotOptions {
        prompt_template: Some("Be kind. {context}".to_owned()),
        num_k: Some(1),
        chunk_size: Some(10),
        chunk_overlap: Some(2),
        ..BotOptions::default()
    };
    let report = world.trainer.create_bot(&bot, options).unwrap();
    assert_eq!(
        report.documents, 3,
        "another splitting makes every document new"
    );
    assert!(report.chunks > 6);
    let before = world.trainer.bot(&bot).unwrap().settings;

    world
        .trainer
        .create_bot(&bot, BotOptions::default())
        .unwrap();
    let world = world.restart();
    assert_eq!(world.trainer.bot(&bot).unwrap().settings, before);
    assert_eq!(
        world
            .trainer
            .invoke_vectorstore(&bot, "herons")
            .unwrap()
            .len(),
        1
    );
    let all = world.trainer.search(&bot, "herons", Some(1000)).unwrap();
    assert_eq!(all.len(), report.chunks, "the old chunks are gone");
}

#[test]
fn settings_that_cannot_work_change_nothing() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let before = world.trainer.bot(&bot).unwrap().settings;
    let refused = |options: BotOptions| world.trainer.create_bot(&bot, options).unwrap_err();

    let error = refused(BotOptions {
        prompt_template: Some("no place".to_owned()),
        num_k: Some(7),
        ..BotOptions::default()
    });
    assert!(matches!(error, Error::PromptTemplate { .. }));
    let error = refused(BotOptions {
        num_k: Some(0),
        ..BotOptions::default()
    });
    assert!(error.to_string().contains("num_k is 0"), "{error}");
    for (size, overlap) in [(0, 0), (100, 100), (10, 200)] {
        let error = refused(BotOptions {
            chunk_size: Some(size),
            chunk_overlap: Some(overlap),
            ..BotOptions::default()
        });
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(world.trainer.bot(&bot).unwrap().settings, before);
}

#[test]
fn another_embedding_model_needs_a_reindex_and_loses_nothing() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let other = WordEmbedder::new("other words");
    let World {
        dir,
        embedder,
        model,
        trainer,
        ..
    } = world;
    drop(trainer);
    let trainer = LongTrainer::builder(dir.path())
        .embedder(embedder)
        .text_model(model)
        .embedder(other)
        .build()
        .unwrap();

    let error = trainer.invoke_vectorstore(&bot, "herons").unwrap_err();
    assert!(error.to_string().contains("reindex"), "{error}");
    trainer.pass_documents(documents(&["New."]), &bot).unwrap();
    let error = trainer.create_bot(&bot, BotOptions::default()).unwrap_err();
    assert!(matches!(error, Error::ReindexNeeded { .. }), "{error}");

    let settings = trainer.bot(&bot).unwrap().settings;
    let chosen = BotOptions {
        embedding_model: Some("other words".to_owned()),
        ..BotOptions::default()
    };
    let error = trainer.create_bot(&bot, chosen).unwrap_err();
    assert!(matches!(error, Error::ReindexNeeded { .. }), "{error}");
    assert_eq!(trainer.bot(&bot).unwrap().settings, settings);

    let report = trainer
        .reindex(&bot, Some("other words"), &mut |_| {})
        .unwrap();
    assert_eq!(report.documents, 4);
    assert_eq!(
        trainer.invoke_vectorstore(&bot, "herons nest").unwrap()[0].page_content,
        FACTS[0]
    );
    let error = trainer
        .reindex(&bot, Some("no such model"), &mut |_| {})
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(
        trainer.invoke_vectorstore(&bot, "herons nest").unwrap()[0].page_content,
        FACTS[0]
    );
}

#[test]
fn update_chatbot_adds_and_keeps_the_prompt_or_does_nothing_at_all() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    world
        .trainer
        .set_custom_prompt_template(&bot, "Be kind. {context}")
        .unwrap();
    let good = world.dir.path().join("good.txt");
    std::fs::write(&good, "Otters swim well.").unwrap();

    let update = BotUpdate {
        paths: vec![good.clone(), world.dir.path().join("absent.pdf")],
        documents: documents(&["Foxes run."]),
        ..BotUpdate::default()
    };
    let error = world.trainer.update_chatbot(&bot, update).unwrap_err();
    assert!(error.to_string().contains("absent.pdf"), "{error}");
    assert_eq!(world.trainer.get_documents(&bot).unwrap().len(), 3);

    let update = BotUpdate {
        paths: vec![good],
        documents: documents(&["Foxes run."]),
        ..BotUpdate::default()
    };
    let report = world.trainer.update_chatbot(&bot, update).unwrap();
    assert_eq!(report.build.documents, 2);
    assert_eq!(
        world
            .trainer
            .bot(&bot)
            .unwrap()
            .settings
            .prompt_template
            .as_deref(),
        Some("Be kind. {context}")
    );
    let found = world
        .trainer
        .invoke_vectorstore(&bot, "otters swim")
        .unwrap();
    assert_eq!(found[0].page_content, "Otters swim well.");
}

#[test]
fn a_deleted_bot_leaves_nothing_behind() {
    let world = World::new();
    let (gone, kept) = (world.bot(&FACTS), world.bot(&FACTS));
    let chat = world.trainer.new_chat(&gone).unwrap();
    world
        .trainer
        .get_response("milk?", &gone, &chat, Default::default())
        .unwrap();
    world.trainer.train_chats(&gone).unwrap();

    world.trainer.delete_chatbot(&gone).unwrap();

    assert_eq!(
        world.trainer.bot(&gone).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        world.trainer.chat(&chat).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        world.trainer.delete_chatbot(&gone).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let left: Vec<_> = ["indexes", "training"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(world.dir.path().join(folder)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(gone.as_str()))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(
        world
            .trainer
            .invoke_vectorstore(&kept, "herons")
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn a_second_owner_of_the_directory_is_refused() {
    let world = World::new();
    let error = LongTrainer::builder(world.dir.path())
        .build()
        .err()
        .unwrap();
    assert!(error.to_string().contains("longtrainer.redb"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn an_unknown_bot_is_an_error_everywhere() {
    let world = World::new();
    let bot = "bot-00000000-0000-4000-8000-000000000000".parse().unwrap();
    let trainer = &world.trainer;
    let errors = [
        trainer.bot(&bot).err(),
        trainer.load_bot(&bot).err(),
        trainer.create_bot(&bot, BotOptions::default()).err(),
        trainer.new_chat(&bot).err(),
        trainer.new_vision_chat(&bot).err(),
        trainer.list_chats(&bot).err(),
        trainer.get_documents(&bot).err(),
        trainer.pass_documents(documents(&FACTS), &bot).err(),
        trainer.remove_documents(&bot, &[1]).err(),
        trainer.invoke_vectorstore(&bot, "x").err(),
        trainer.train_chats(&bot).err(),
        trainer.set_custom_prompt_template(&bot, "{context}").err(),
        trainer.delete_chatbot(&bot).err(),
    ];
    for (call, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("call {call} took an unknown bot"));
        assert_eq!(error.kind(), ErrorKind::NotFound, "call {call}: {error}");
        assert!(
            error.to_string().contains("bot-00000000"),
            "call {call}: {error}"
        );
    }
}
