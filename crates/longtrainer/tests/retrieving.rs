//! Which passages a question gets: the ensemble, and questions that follow others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use longtrainer::{BotOptions, Error, ResponseOptions};
use support::{Behaviour, World};

const FACTS: [&str; 4] = [
    "Cheese is made from milk and patience.",
    "The lighthouse was built in 1862 by Mary Field.",
    "Granite forms when magma cools slowly.",
    "Herons nest in tall trees.",
];

fn ensemble() -> BotOptions {
    BotOptions {
        ensemble: Some(true),
        num_k: Some(2),
        ..BotOptions::default()
    }
}

const PHRASINGS: &str = "Here you are:\n1. Who built the lighthouse?\n2. \"Which Mary built in \
                         1862?\"\n3. who ERECTED it?\n";

#[test]
fn the_ensemble_finds_what_the_question_alone_has_no_words_for() {
    let world = World::new();
    let bot = world.bot_with(&FACTS, ensemble());
    world.model.behave(Behaviour::Say(PHRASINGS.to_owned()));

    let found = world
        .trainer
        .retrieve(&bot, "Who erected it?", None)
        .unwrap();

    assert_eq!(found.documents[0].page_content, FACTS[1]);
    assert_eq!(found.documents.len(), 2, "cut back to num_k");
    let phrasings = ["Who built the lighthouse?", "Which Mary built in 1862?"];
    assert_eq!(found.retrieval.phrasings, phrasings);
    assert_eq!(found.retrieval.phrasing_error, None);
    let embedded = world.embedder.last.lock().unwrap().clone();
    assert_eq!(
        embedded,
        ["Who erected it?", phrasings[0], phrasings[1]],
        "one call for all"
    );
    let best = phrasings.map(|phrasing| similarity(&world, phrasing));
    assert_eq!(
        found.documents[0].score,
        best[0].max(best[1]),
        "that of the best phrasing"
    );
}

/// The score of the lighthouse for a question alone.
fn similarity(world: &World, question: &str) -> f32 {
    let bot = world.bot(&FACTS);
    let found = world.trainer.search(&bot, question, Some(1)).unwrap();
    assert_eq!(found[0].page_content, FACTS[1]);
    found[0].score
}

#[test]
fn phrasings_are_asked_for_once_and_the_same_way_each_time() {
    let world = World::new();
    let bot = world.bot_with(&FACTS, ensemble());
    world.model.behave(Behaviour::Say(PHRASINGS.to_owned()));
    let first = world.trainer.invoke_vectorstore(&bot, "Erected?").unwrap();
    let second = world.trainer.invoke_vectorstore(&bot, "Erected?").unwrap();
    assert_eq!(first, second);
    let requests = world.model.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0], requests[1]);
    assert!(requests[0].sampling.seed.is_some() && requests[0].sampling.temperature < 0.5);
    assert_eq!(requests[0].messages.last().unwrap().content, "Erected?");
}

#[test]
fn without_phrasings_the_question_is_searched_for_alone_and_the_answer_says_why() {
    for (behaviour, reason) in [
        (Behaviour::FailMidway, "has stopped"),
        (Behaviour::BreakOff, "ended before"),
        (Behaviour::Say("Sure:\n".to_owned()), "no phrasing"),
        (
            Behaviour::SayAndBeCutOff("1. Who built the light".to_owned()),
            "no phrasing",
        ),
    ] {
        let world = World::new();
        let bot = world.bot_with(&FACTS, ensemble());
        let plain = world.bot(&FACTS);
        let chat = world.trainer.new_chat(&bot).unwrap();
        world.model.behave_once(behaviour);
        let answer = world
            .trainer
            .get_response("Which trees?", &bot, &chat, ResponseOptions::default())
            .unwrap();
        let error = answer.retrieval.phrasing_error.unwrap();
        assert!(error.contains(reason), "{error}");
        assert!(answer.retrieval.phrasings.is_empty());
        let alone = world
            .trainer
            .search(&plain, "Which trees?", Some(2))
            .unwrap();
        assert_eq!(answer.sources[0].page_content, FACTS[3]);
        assert_eq!(answer.sources[0].score, alone[0].score);
        assert_eq!(answer.sources.len(), 2);
    }
}

#[test]
fn a_bot_without_the_ensemble_asks_no_model_to_find_passages() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    world.trainer.invoke_vectorstore(&bot, "milk?").unwrap();
    let off = BotOptions {
        ensemble: Some(false),
        ..BotOptions::default()
    };
    let bot = world.bot_with(&FACTS, ensemble());
    world.trainer.create_bot(&bot, off).unwrap();
    world.trainer.invoke_vectorstore(&bot, "milk?").unwrap();
    assert!(world.model.requests().is_empty());
}

#[test]
fn the_ensemble_is_kept_over_a_restart() {
    let world = World::new();
    let bot = world.bot_with(&FACTS, ensemble());
    let world = world.restart();
    assert_eq!(
        world.trainer.bot(&bot).unwrap().settings.ensemble,
        Some(true)
    );
}

#[test]
fn a_question_that_cannot_be_asked_is_refused_before_it_is_rephrased() {
    let world = World::new();
    let bot = world.bot_with(&FACTS, ensemble());
    let empty = world.trainer.search(&bot, " ", None);
    assert!(matches!(empty, Err(Error::EmptyQuestion)));
    let none = world.trainer.search(&bot, "milk?", Some(0));
    assert!(matches!(
        none,
        Err(Error::InvalidSetting { name: "num_k", .. })
    ));
    assert!(world.model.requests().is_empty());
}

/// Places that differ in their names alone.
const PLACES: [&str; 6] = [
    "The church of Gozo was built of stone.",
    "The church of Crete was built of stone.",
    "The church of Corfu was built of stone.",
    "The church of Samos was built of stone.",
    "The church of Malta was built of stone.",
    "Cheese is made from milk.",
];

#[test]
fn a_follow_up_question_finds_what_the_chat_is_about() {
    let world = World::new();
    let bot = world.bot(&PLACES);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let ask = |question: &str| {
        let options = ResponseOptions {
            num_k: Some(1),
            ..ResponseOptions::default()
        };
        let answer = world
            .trainer
            .get_response(question, &bot, &chat, options)
            .unwrap();
        (
            answer.sources[0].page_content.clone(),
            answer.retrieval.with_conversation,
        )
    };
    let malta = PLACES[4].to_owned();
    assert_eq!(ask("Where is Malta?"), (malta.clone(), false));
    assert_eq!(ask("What was the church built of?"), (malta, true));
    // With a subject of its own a question does not need the chat's.
    assert_eq!(
        ask("Is cheese made from milk?"),
        (PLACES[5].to_owned(), true)
    );
    let embedded = world.embedder.last.lock().unwrap().clone();
    assert_eq!(
        embedded[1],
        "Is cheese made from milk?\nWhat was the church built of?\nWhere is Malta?"
    );
}

#[test]
fn failed_turns_and_repeated_questions_are_no_conversation() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let ask = || {
        world
            .trainer
            .get_response("milk?", &bot, &chat, ResponseOptions::default())
    };
    world.model.behave_once(Behaviour::FailMidway);
    ask().unwrap_err();
    assert!(!ask().unwrap().retrieval.with_conversation);
    assert!(!ask().unwrap().retrieval.with_conversation);
}
