//! Training on past chats, through the public door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use longtrainer::{Order, ResponseOptions};
use support::{Behaviour, World, eventually};

fn ask(world: &World, bot: &longtrainer::BotId, chat: &longtrainer::ChatId, question: &str) {
    // Failures are part of some of these tests.
    let _ = world
        .trainer
        .get_response(question, bot, chat, ResponseOptions::default());
}

#[test]
fn what_was_answered_becomes_a_document_once() {
    let world = World::new();
    let bot = world.bot(&["Cheese is made from milk."]);
    world
        .trainer
        .set_custom_prompt_template(&bot, "Mine. {context}")
        .unwrap();
    let chat = world.trainer.new_chat(&bot).unwrap();
    world
        .model
        .behave(Behaviour::Say("It is, \"so to say\",\na heron.".to_owned()));
    ask(&world, &bot, &chat, "Which bird, then?");
    ask(&world, &bot, &chat, "Once more: which bird?");

    let report = world.trainer.train_chats(&bot).unwrap();

    assert_eq!(report.message, "Trainer updated with new chat history.");
    assert_eq!(report.turns, 2);
    let path = report.csv_path.unwrap();
    let mut reader = csv::Reader::from_path(&path).unwrap();
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        ["Question", "Answer"]
    );
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(
        rows[0].iter().collect::<Vec<_>>(),
        ["Which bird, then?", "It is, \"so to say\",\na heron."]
    );

    let found = world
        .trainer
        .invoke_vectorstore(&bot, "which bird")
        .unwrap();
    assert!(found[0].page_content.starts_with("Question: "));
    assert_eq!(found[0].source(), path.display().to_string());
    let turns = world.trainer.get_chat_by_id(&chat, Order::Newest).unwrap();
    assert!(turns.iter().all(|turn| turn.trained));
    let settings = world.trainer.bot(&bot).unwrap().settings;
    assert_eq!(settings.prompt_template.as_deref(), Some("Mine. {context}"));

    // The file and the stored documents are the same: loading it adds nothing.
    let again = world.trainer.add_document_from_path(&path, &bot).unwrap();
    assert_eq!((again.added.len(), again.already_there), (0, 2));

    let second = world.trainer.train_chats(&bot).unwrap();
    assert_eq!(second.message, "No new chats found for training.");
    assert_eq!((second.csv_path, second.turns), (None, 0));
}

#[test]
fn failed_cancelled_and_empty_turns_are_never_trained_on() {
    let world = World::new();
    let bot = world.bot(&["Cheese is made from milk."]);
    let chat = world.trainer.new_chat(&bot).unwrap();
    for behaviour in [
        Behaviour::FailMidway,
        Behaviour::BreakOff,
        Behaviour::Say(" ".to_owned()),
    ] {
        world.model.behave(behaviour);
        ask(&world, &bot, &chat, "anything");
    }
    world.model.behave(Behaviour::Ramble);
    let mut stream = world
        .trainer
        .stream_response("anything", &bot, &chat, ResponseOptions::default())
        .unwrap();
    stream.nth(1);
    drop(stream);
    eventually("the cancelled turn is stored", || {
        world
            .trainer
            .get_chat_by_id(&chat, Order::Newest)
            .unwrap()
            .len()
            == 4
    });

    let report = world.trainer.train_chats(&bot).unwrap();

    assert_eq!(report.message, "No new chats found for training.");
    assert_eq!(world.trainer.get_documents(&bot).unwrap().len(), 1);
}

#[test]
fn two_runs_in_one_second_have_two_files() {
    let world = World::new();
    let bot = world.bot(&["Cheese is made from milk."]);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let mut paths = Vec::new();
    for number in 0..3 {
        ask(&world, &bot, &chat, &format!("question {number}"));
        paths.push(world.trainer.train_chats(&bot).unwrap().csv_path.unwrap());
    }
    paths.dedup();
    assert_eq!(paths.len(), 3);
    assert!(paths.iter().all(|path| path.exists()));
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_turns_waiting() {
    let world = World::new();
    let bot = world.bot(&["Cheese is made from milk."]);
    let chat = world.trainer.new_chat(&bot).unwrap();
    ask(&world, &bot, &chat, "a question");
    // A file where the bot's folder should be: nobody can write below it, root included.
    let folder = world.dir.path().join("training").join(bot.as_str());
    std::fs::write(&folder, "in the way").unwrap();

    let error = world.trainer.train_chats(&bot).unwrap_err();
    assert!(error.to_string().contains(bot.as_str()), "{error}");

    std::fs::remove_file(&folder).unwrap();
    assert_eq!(world.trainer.train_chats(&bot).unwrap().turns, 1);
}
