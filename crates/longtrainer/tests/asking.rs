//! Models and bots asked without a chat, and texts embedded for callers outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use longtrainer::{
    BotChat, DEFAULT_DIRECT_TOKENS, DirectAnswer, EmbeddingInput, Error, ErrorKind, Message,
    ModelRequest, Prompt, RawText, Role, StreamItem,
};
use support::{Behaviour, World, eventually};

fn chat(text: &str) -> ModelRequest {
    ModelRequest::new(Prompt::Chat(vec![Message::new(Role::User, text)]))
}

fn text(answer: DirectAnswer) -> String {
    let texts = answer.filter_map(|item| match item.unwrap() {
        StreamItem::Text(text) => Some(text),
        _ => None,
    });
    texts.collect()
}

#[test]
fn a_model_is_asked_by_its_name() {
    let world = World::with_context(100);
    let answer = world
        .trainer
        .ask_model("scripted", chat("one two"))
        .unwrap();
    assert!(answer.grounds().is_none());
    assert_eq!(text(answer), "an answer");
    // The context less the prompt; the message has four tokens.
    assert_eq!(world.model.requests()[0].max_tokens, 96);
    let roomy = World::with_context(1 << 20);
    text(roomy.trainer.ask_model("scripted", chat("one")).unwrap());
    assert_eq!(roomy.model.requests()[0].max_tokens, DEFAULT_DIRECT_TOKENS);

    let raw = Prompt::Text(RawText::Text("Once".to_owned()));
    text(
        world
            .trainer
            .ask_model("scripted", ModelRequest::new(raw))
            .unwrap(),
    );
    assert_eq!(
        world.model.requests()[1].text,
        Some(RawText::Text("Once".to_owned()))
    );
    let messages = [Message::new(Role::User, "one two three")];
    assert_eq!(
        world
            .trainer
            .count_prompt_tokens("scripted", &messages, None)
            .unwrap(),
        5
    );
}

#[test]
fn a_name_that_is_not_offered_is_not_found_even_if_it_is_a_path() {
    let world = World::new();
    let file = world.dir.path().join("some.gguf");
    std::fs::write(&file, "GGUF").unwrap();
    for name in ["nothing", file.to_str().unwrap(), "."] {
        let error = world.trainer.ask_model(name, chat("Hi")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    let error = world.trainer.ask_model("words", chat("Hi")).err().unwrap();
    assert!(matches!(error, Error::ModelRole { .. }), "{error}");
    let names: Vec<_> = world
        .trainer
        .usable_models()
        .into_iter()
        .map(|model| model.name)
        .collect();
    for name in ["scripted", "eyes", "words"] {
        assert_eq!(
            names.iter().filter(|one| *one == name).count(),
            1,
            "{names:?}"
        );
    }
}

#[test]
fn leaving_stops_the_model() {
    let world = World::new();
    world.model.behave(Behaviour::Ramble);
    let mut answer = world.trainer.ask_model("scripted", chat("Hi")).unwrap();
    answer.next().unwrap().unwrap();
    drop(answer);
    eventually("the model stops", || world.model.readers_left() == 1);
}

#[test]
fn a_bot_remembers_what_it_is_told_and_stores_nothing() {
    let world = World::new();
    let bot = world.bot(&["The lighthouse was built in 1862 by Mary Field."]);
    let message = |role, text: &str| Message::new(role, text);
    let messages = vec![
        message(Role::User, "Hello?"),
        message(Role::User, "Who built the lighthouse?"),
        message(Role::Assistant, "Mary Field."),
        message(Role::System, "Be brief."),
        message(Role::User, "And when?"),
    ];
    let asked = BotChat {
        messages,
        ..BotChat::default()
    };
    let answer = world.trainer.ask_bot(&bot, asked).unwrap();
    let grounds = answer.grounds().unwrap().clone();
    assert_eq!(grounds.retrieval.documents.len(), 1);
    assert_eq!(grounds.history.included, 1);
    assert_eq!(text(answer), "an answer");
    let told: Vec<String> = world
        .model
        .last_messages()
        .into_iter()
        .map(|one| one.content)
        .collect();
    assert!(told[0].ends_with("\n\nBe brief."), "{told:?}");
    assert_eq!(told[1], "Hello?\n\nWho built the lighthouse?");
    assert_eq!(told[2], "Mary Field.");
    assert!(told[3].ends_with("And when?"), "{told:?}");
    assert_eq!(
        world
            .trainer
            .chats(&bot, longtrainer::ChatKind::Text)
            .unwrap(),
        []
    );

    let asked = BotChat {
        messages: vec![message(Role::User, "Hi"), message(Role::Assistant, "Hm")],
        ..BotChat::default()
    };
    assert!(matches!(
        world.trainer.ask_bot(&bot, asked),
        Err(Error::LastMessage)
    ));
}

#[test]
fn callers_that_embed_at_the_same_time_get_their_own_vectors_and_their_own_errors() {
    let world = World::new();
    let trainer = &world.trainer;
    let embed = &|text: String| trainer.embed("words", EmbeddingInput::Texts(vec![text]), false);
    let alone: Vec<_> = (0..8)
        .map(|number| embed(format!("word{number}")).unwrap().vectors)
        .collect();
    std::thread::scope(|scope| {
        for (number, expected) in alone.iter().enumerate() {
            scope.spawn(move || {
                for _ in 0..50 {
                    assert_eq!(embed(format!("word{number}")).unwrap().vectors, *expected);
                }
            });
            scope.spawn(move || {
                let foreign = EmbeddingInput::Tokens(vec![vec![7, 8]]);
                for _ in 0..50 {
                    assert!(trainer.embed("words", foreign.clone(), false).is_err());
                }
            });
        }
    });
}

#[test]
fn an_embedding_tells_its_tokens() {
    let world = World::new();
    let texts = EmbeddingInput::Texts(vec!["one two".to_owned(), "three".to_owned()]);
    let embedded = world.trainer.embed("words", texts, false).unwrap();
    assert_eq!((embedded.vectors.len(), embedded.tokens), (2, 7));
    let tokens = EmbeddingInput::Tokens(Vec::new());
    assert_eq!(
        world
            .trainer
            .embed("words", tokens, false)
            .unwrap()
            .vectors
            .len(),
        0
    );
}
