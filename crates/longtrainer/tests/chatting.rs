//! Questions, answers, history and what is stored of them, through the public door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use longtrainer::{
    BotOptions, Chunk, Error, ErrorKind, Order, ResponseOptions, TurnStatus, UploadedFile,
};
use support::{Behaviour, World, eventually};

const FACTS: [&str; 3] = [
    "The lighthouse was built in 1862 by Mary Field.",
    "Cheese is made from milk and patience.",
    "Granite forms when magma cools slowly.",
];

fn options() -> ResponseOptions {
    ResponseOptions::default()
}

#[test]
fn an_answer_comes_with_its_sources_and_is_stored() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    world
        .model
        .behave(Behaviour::Say("Mary Field built it.".to_owned()));

    let asked = "Who built the lighthouse?";
    let answer = world
        .trainer
        .get_response(asked, &bot, &chat, options())
        .unwrap();

    assert_eq!(answer.text, "Mary Field built it.");
    assert_eq!(answer.sources.len(), 3);
    assert_eq!(answer.sources[0].page_content, FACTS[0]);
    assert_eq!(answer.sources[0].source(), "text 0");
    assert!(answer.sources[0].score > answer.sources[1].score);

    let turns = world.trainer.get_chat_by_id(&chat, Order::Newest).unwrap();
    assert_eq!(turns.len(), 1);
    assert_eq!(
        (&*turns[0].question, &*turns[0].answer),
        (asked, "Mary Field built it.")
    );
    assert_eq!(turns[0].status, TurnStatus::Complete);
    assert_eq!(turns[0].sources[0].source, "text 0");
}

#[test]
fn a_stream_gives_sources_then_text_then_the_same_answer() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    world
        .model
        .behave(Behaviour::Say("one two three".to_owned()));

    let chunks: Vec<_> = world
        .trainer
        .stream_response("lighthouse?", &bot, &chat, options())
        .unwrap()
        .map(Result::unwrap)
        .collect();

    assert!(matches!(&chunks[0], Chunk::Sources(sources) if sources.len() == 3));
    let text: String = chunks
        .iter()
        .filter_map(|chunk| match chunk {
            Chunk::Text(piece) => Some(piece.as_str()),
            _ => None,
        })
        .collect();
    let Some(Chunk::Done(answer)) = chunks.last() else {
        panic!("no end: {chunks:?}")
    };
    assert_eq!(text, "one two three");
    assert_eq!(answer.text, text);
    assert_eq!(answer.turn, 0);
}

#[test]
fn tasks_read_the_same_stream() {
    use futures_lite::{StreamExt, future, pin};
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let stream = world
        .trainer
        .aget_response("milk?", &bot, &chat, options())
        .unwrap();
    pin!(stream);
    let last = future::block_on(stream.last()).unwrap().unwrap();
    assert!(matches!(last, Chunk::Done(answer) if answer.text == "an answer"));
}

#[test]
fn history_reaches_the_model_with_files_and_without_failures() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let file = UploadedFile {
        name: "note.txt".to_owned(),
        kind: "text/plain".to_owned(),
        url: None,
        extracted_text: Some("the code word is heron".to_owned()),
    };
    let with_file = ResponseOptions {
        uploaded_files: vec![file.clone()],
        ..options()
    };
    world
        .trainer
        .get_response("What is in it?", &bot, &chat, with_file)
        .unwrap();
    world.model.behave(Behaviour::FailMidway);
    world
        .trainer
        .get_response("fails", &bot, &chat, options())
        .unwrap_err();
    world.model.behave(Behaviour::Say("heron".to_owned()));

    // A restart must not make the model forget the file.
    let world = world.restart();
    world
        .trainer
        .get_response("And the code word?", &bot, &chat, options())
        .unwrap();

    let messages = world.model.last_messages();
    let contents: Vec<_> = messages
        .iter()
        .map(|message| message.content.as_str())
        .collect();
    assert_eq!(messages.len(), 4, "{contents:?}");
    assert!(contents[1].contains("the code word is heron"));
    assert!(contents[1].ends_with("Question: What is in it?"));
    assert_eq!(contents[2], "an answer");
    assert!(contents[3].ends_with("Question: And the code word?"));
    let turns = world.trainer.get_chat_by_id(&chat, Order::Oldest).unwrap();
    assert_eq!(turns[0].uploaded_files, [file]);
}

#[test]
fn a_prompt_that_cannot_fit_is_an_error_with_both_numbers_and_no_turn() {
    let world = World::with_context(600);
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let question = "many words ".repeat(200);
    let error = world
        .trainer
        .get_response(&question, &bot, &chat, options())
        .unwrap_err();
    assert!(
        matches!(error, Error::PromptTooLong { needed, budget: 88, context_length: 600, max_tokens: 512 } if needed > 400),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        world
            .trainer
            .get_chat_by_id(&chat, Order::Newest)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_reader_that_leaves_stops_the_model_and_the_turn_is_cancelled() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    for behaviour in [Behaviour::Ramble, Behaviour::Ponder] {
        let chat = world.trainer.new_chat(&bot).unwrap();
        let before = world.model.readers_left();
        let rambles = matches!(behaviour, Behaviour::Ramble);
        world.model.behave(behaviour);
        let mut stream = world
            .trainer
            .stream_response("milk?", &bot, &chat, options())
            .unwrap();
        assert!(matches!(stream.next(), Some(Ok(Chunk::Sources(_)))));
        if rambles {
            assert!(matches!(stream.next(), Some(Ok(Chunk::Text(_)))));
        }
        drop(stream);
        eventually("the model is told", || world.model.readers_left() > before);
        let turns = || world.trainer.get_chat_by_id(&chat, Order::Newest).unwrap();
        eventually("the turn is stored", || turns().len() == 1);
        assert_eq!(turns()[0].status, TurnStatus::Cancelled);
        assert_eq!(turns()[0].answer.starts_with("and "), rambles);
    }
}

#[test]
fn a_failure_is_an_error_and_a_failed_turn_with_its_reason() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    for (behaviour, said) in [
        (Behaviour::FailMidway, "half an"),
        (Behaviour::BreakOff, ""),
    ] {
        let chat = world.trainer.new_chat(&bot).unwrap();
        world.model.behave(behaviour);
        let error = world
            .trainer
            .get_response("milk?", &bot, &chat, options())
            .unwrap_err();
        let turns = world.trainer.get_chat_by_id(&chat, Order::Newest).unwrap();
        assert_eq!(turns[0].status, TurnStatus::Failed);
        assert_eq!(turns[0].answer, said);
        assert_eq!(turns[0].error.as_deref(), Some(&*error.to_string()));
    }
}

#[test]
fn unknown_ids_and_questions_without_text_are_errors() {
    let world = World::new();
    let (bot, other) = (world.bot(&FACTS), world.bot(&FACTS));
    let chat = world.trainer.new_chat(&bot).unwrap();
    let ask =
        |question: &str, bot, chat| world.trainer.get_response(question, bot, chat, options());

    assert!(matches!(ask(" \n", &bot, &chat), Err(Error::EmptyQuestion)));
    assert!(matches!(
        ask(&"x".repeat(2 << 20), &bot, &chat),
        Err(Error::QuestionTooLarge { .. })
    ));
    let elsewhere = ask("hello", &other, &chat).unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::NotFound, "{elsewhere}");
    let unknown = "chat-00000000-0000-4000-8000-000000000000".parse().unwrap();
    let error = ask("hello", &bot, &unknown).unwrap_err();
    assert!(error.to_string().contains(unknown.as_str()), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        world
            .trainer
            .get_chat_by_id(&chat, Order::Newest)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_question_for_no_passage_or_for_too_many_is_refused() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    for num_k in [0, 1001, usize::MAX] {
        let asked = ResponseOptions {
            num_k: Some(num_k),
            ..options()
        };
        let error = world
            .trainer
            .get_response("Who?", &bot, &chat, asked)
            .unwrap_err();
        assert!(
            matches!(&error, Error::InvalidSetting { name: "num_k", .. }),
            "{error}"
        );
        let error = world.trainer.search(&bot, "Who?", Some(num_k)).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidSetting { name: "num_k", .. }),
            "{error}"
        );
    }
    assert!(
        world
            .trainer
            .get_chat_by_id(&chat, Order::Newest)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_bot_that_was_never_built_says_so() {
    let world = World::new();
    let bot = world.trainer.initialize_bot_id().unwrap();
    let chat = world.trainer.new_chat(&bot).unwrap();
    let error = world
        .trainer
        .get_response("hello", &bot, &chat, options())
        .unwrap_err();
    assert!(matches!(error, Error::NotBuilt { .. }), "{error}");
}

#[test]
fn a_bot_without_documents_answers_without_sources() {
    let world = World::new();
    let bot = world.bot(&[]);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let answer = world
        .trainer
        .get_response("hello", &bot, &chat, options())
        .unwrap();
    assert!(answer.sources.is_empty());
}

#[test]
fn open_chats_see_new_documents_and_a_changed_prompt() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    world
        .trainer
        .get_response("Where do herons nest?", &bot, &chat, options())
        .unwrap();

    world
        .trainer
        .pass_documents(support::documents(&["Herons nest in tall trees."]), &bot)
        .unwrap();
    world
        .trainer
        .create_bot(&bot, BotOptions::default())
        .unwrap();
    world
        .trainer
        .set_custom_prompt_template(&bot, "Speak like a sailor. {context}")
        .unwrap();
    let answer = world
        .trainer
        .get_response("Where do herons nest?", &bot, &chat, options())
        .unwrap();

    assert_eq!(answer.sources[0].page_content, "Herons nest in tall trees.");
    let system = &world.model.last_messages()[0].content;
    assert!(
        system.starts_with("Speak like a sailor. [text 0]")
            && system.ends_with("Herons nest in tall trees."),
        "{system}"
    );
}

#[test]
fn chats_exist_from_the_start_and_can_be_named_and_deleted() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let first = world.trainer.new_chat(&bot).unwrap();
    let second = world.trainer.new_chat(&bot).unwrap();
    let vision = world.trainer.new_vision_chat(&bot).unwrap();

    let world = world.restart();
    let list = world.trainer.list_chats(&bot).unwrap();
    assert_eq!(list.chat_ids, [first.clone(), second.clone()]);
    assert_eq!(list.vision_chat_ids, std::slice::from_ref(&vision));
    assert!(
        world
            .trainer
            .get_vision_chat_by_id(&vision, Order::Newest)
            .unwrap()
            .is_empty()
    );

    world
        .trainer
        .rename_chat(&first, Some("lighthouses"))
        .unwrap();
    assert_eq!(
        world.trainer.chat(&first).unwrap().title.as_deref(),
        Some("lighthouses")
    );
    world.trainer.delete_chat(&first).unwrap();
    assert_eq!(
        world.trainer.chat(&first).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(world.trainer.list_chats(&bot).unwrap().chat_ids, [second]);
}
