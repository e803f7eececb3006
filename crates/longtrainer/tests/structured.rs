//! Answers that are data: the schema of a question, and what becomes of answers that do not meet it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use longtrainer::{Error, ErrorKind, Grammar, Order, ResponseOptions, TurnStatus};
use serde_json::{Value, json};
use support::{Behaviour, World};

const FACTS: [&str; 1] = ["The lighthouse was built in 1862 by Mary Field."];

fn schema() -> Value {
    json!({"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"]})
}

fn with(schema: Value) -> ResponseOptions {
    ResponseOptions {
        schema: Some(schema),
        ..ResponseOptions::default()
    }
}

#[test]
fn an_answer_with_a_schema_is_data_and_its_text_is_stored() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    world
        .model
        .behave(Behaviour::Say("{\"year\": 1862}".to_owned()));

    let answer = world
        .trainer
        .get_response("When?", &bot, &chat, with(schema()))
        .unwrap();

    assert_eq!(answer.data, Some(json!({"year": 1862})));
    assert_eq!(answer.text, "{\"year\": 1862}");
    let request = world.model.requests().pop().unwrap();
    assert_eq!(request.grammar, Some(Grammar::JsonSchema(schema())));
    let asked = &request.messages.last().unwrap().content;
    assert!(asked.contains("Question: When?"), "{asked}");
    assert!(asked.ends_with(&schema().to_string()), "{asked}");
    let turns = world.trainer.get_chat_by_id(&chat, Order::Newest).unwrap();
    assert_eq!(
        (&*turns[0].question, &*turns[0].answer),
        ("When?", "{\"year\": 1862}")
    );

    world.model.behave(Behaviour::Say("plainly".to_owned()));
    let plain = world
        .trainer
        .get_response("And who?", &bot, &chat, ResponseOptions::default())
        .unwrap();
    assert_eq!(plain.data, None);
    let request = world.model.requests().pop().unwrap();
    assert_eq!(request.grammar, None);
    assert_eq!(request.messages[1].content, "When?", "the schema is gone");
    assert_eq!(request.messages[2].content, "{\"year\": 1862}");
}

#[test]
fn an_answer_that_is_cut_off_or_not_of_the_schema_is_an_error_and_a_failed_turn() {
    for (behaviour, said) in [
        (
            Behaviour::SayAndBeCutOff("{\"year\": 18".to_owned()),
            "{\"year\": 18",
        ),
        // Whole by chance, and still not what the model would have said.
        (
            Behaviour::SayAndBeCutOff("{\"year\":1}".to_owned()),
            "{\"year\":1}",
        ),
        (Behaviour::Say("In 1862.".to_owned()), "In 1862."),
        (
            Behaviour::Say("{\"year\":\"x\"}".to_owned()),
            "{\"year\":\"x\"}",
        ),
    ] {
        let world = World::new();
        let bot = world.bot(&FACTS);
        let chat = world.trainer.new_chat(&bot).unwrap();
        let cut_off = matches!(behaviour, Behaviour::SayAndBeCutOff(_));
        world.model.behave_once(behaviour);
        let error = world
            .trainer
            .get_response("When?", &bot, &chat, with(schema()))
            .unwrap_err();
        match &error {
            Error::AnswerCutOff { answer, .. } => assert!(cut_off && answer == said),
            Error::AnswerNotOfSchema { answer, .. } => assert!(!cut_off && answer == said),
            other => panic!("{other}"),
        }
        let turns = world.trainer.get_chat_by_id(&chat, Order::Newest).unwrap();
        assert_eq!(turns[0].status, TurnStatus::Failed);
        assert_eq!(turns[0].answer, said);
        assert_eq!(turns[0].error, Some(error.to_string()));
        world
            .trainer
            .get_response("And who?", &bot, &chat, ResponseOptions::default())
            .unwrap();
        assert_eq!(world.model.last_messages().len(), 2, "not remembered");
    }
}

#[test]
fn what_cannot_be_a_schema_is_refused_before_a_model_is_asked() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    for wrong in [json!([]), json!("object"), json!(7), json!(null)] {
        let error = world
            .trainer
            .get_response("When?", &bot, &chat, with(wrong))
            .unwrap_err();
        assert!(matches!(error, Error::Schema { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let both = ResponseOptions {
        grammar: Some(Grammar::Regex("a".to_owned())),
        ..with(schema())
    };
    let error = world
        .trainer
        .get_response("When?", &bot, &chat, both)
        .unwrap_err();
    assert!(matches!(error, Error::SchemaAndGrammar), "{error}");
    assert!(world.model.requests().is_empty());
    assert!(
        world
            .trainer
            .get_chat_by_id(&chat, Order::Newest)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_grammar_reaches_the_model_and_its_answer_is_text() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let grammar = Grammar::Choice(vec!["yes".to_owned(), "no".to_owned()]);
    let options = ResponseOptions {
        grammar: Some(grammar.clone()),
        ..ResponseOptions::default()
    };
    let answer = world
        .trainer
        .get_response("Was it?", &bot, &chat, options)
        .unwrap();
    assert_eq!(answer.data, None);
    assert_eq!(world.model.requests().pop().unwrap().grammar, Some(grammar));
}
