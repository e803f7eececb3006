//! The messages that a model gets: what stands where, what stays the same from question to question,
//! and what is left out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use longtrainer::{BotId, BotOptions, ChatId, Message, ResponseOptions, Role, UploadedFile};
use support::{Behaviour, World};

const FACTS: [&str; 4] = [
    "Cheese is made from milk and patience.",
    "The lighthouse was built in 1862 by Mary Field.",
    "Granite forms when magma cools slowly.",
    "The lighthouse stands on the northern cape.",
];

fn ask(world: &World, bot: &BotId, chat: &ChatId, question: &str) -> Vec<Message> {
    let options = ResponseOptions {
        num_k: Some(2),
        ..ResponseOptions::default()
    };
    world
        .trainer
        .get_response(question, bot, chat, options)
        .unwrap();
    world.model.last_messages()
}

/// Messages that two prompts have in common at their beginnings.
fn common(a: &[Message], b: &[Message]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[test]
fn passages_stand_with_the_question_under_their_sources_in_the_order_of_the_documents() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();

    let messages = ask(&world, &bot, &chat, "Where does the lighthouse stand?");

    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].role, Role::System);
    assert!(!messages[0].content.contains("lighthouse"));
    let expected = format!(
        "Passages:\n[text 1]\n{}\n\n[text 3]\n{}\n\nQuestion: Where does the lighthouse stand?",
        FACTS[1], FACTS[3]
    );
    assert_eq!(messages[1].content, expected);
}

#[test]
fn a_chat_goes_on_from_a_prompt_that_the_engine_has_seen() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let mut before = ask(&world, &bot, &chat, "Who built the lighthouse?");
    for (turn, question) in [
        (1, "How is cheese made from milk?"),
        (2, "When does granite form?"),
        (3, "Where does the lighthouse stand?"),
    ] {
        let messages = ask(&world, &bot, &chat, question);
        assert_eq!(messages.len(), 2 + 2 * turn);
        // All but the last question, which had passages then and has none now.
        assert_eq!(common(&before, &messages), before.len() - 1);
        before = messages;
    }
    assert_eq!(before[1].content, "Who built the lighthouse?");
}

#[test]
fn files_stand_between_passages_and_question() {
    let world = World::new();
    let bot = world.bot(&FACTS[..1]);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let options = ResponseOptions {
        uploaded_files: vec![UploadedFile {
            name: "note.txt".to_owned(),
            kind: "text/plain".to_owned(),
            url: None,
            extracted_text: Some("heron".to_owned()),
        }],
        ..ResponseOptions::default()
    };
    world
        .trainer
        .get_response("And?", &bot, &chat, options)
        .unwrap();
    let asked = &world.model.last_messages()[1].content;
    let place = |text| asked.find(text).unwrap();
    assert!(place("patience") < place("Uploaded Files:"), "{asked}");
    assert!(place("heron") < place("\nQuestion: And?"), "{asked}");
    assert_eq!(asked.matches("Question:").count(), 1);
}

#[test]
fn a_template_with_its_place_elsewhere_is_filled_as_documented() {
    let world = World::new();
    let options = BotOptions {
        prompt_template: Some("Know this: {context}\n\nSpeak like a sailor.".to_owned()),
        ..BotOptions::default()
    };
    let bot = world.bot_with(&FACTS[..1], options);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let messages = ask(&world, &bot, &chat, "What is cheese?");
    assert_eq!(
        messages[0].content,
        format!("Know this: [text 0]\n{}\n\nSpeak like a sailor.", FACTS[0])
    );
    assert_eq!(messages[1].content, "What is cheese?");
}

#[test]
fn chunks_that_overlap_are_joined() {
    let world = World::new();
    let text = "one two three four five six seven eight nine ten eleven twelve";
    let options = BotOptions {
        chunk_size: Some(30),
        chunk_overlap: Some(12),
        ..BotOptions::default()
    };
    let bot = world.bot_with(&[text], options);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let all = ResponseOptions {
        num_k: Some(10),
        ..ResponseOptions::default()
    };
    let answer = world
        .trainer
        .get_response("seven?", &bot, &chat, all)
        .unwrap();
    assert!(answer.sources.len() > 1, "{:?}", answer.sources);
    let asked = &world.model.last_messages()[1].content;
    assert!(asked.contains(&format!("[text 0]\n{text}\n\n")), "{asked}");
}

/// A chat of fifty turns in a model that holds some twenty, and what its prompts were.
fn long_chat(counts: &mut Vec<usize>) -> Vec<Vec<Message>> {
    let world = World::with_context(1300);
    let bot = world.bot(&FACTS);
    let chat = world.trainer.new_chat(&bot).unwrap();
    world
        .model
        .behave(Behaviour::Say("an answer of five words".to_owned()));
    let mut prompts = Vec::new();
    for number in 0..50 {
        let question = format!("question {number} {}", "word ".repeat(20 + number % 7));
        let options = ResponseOptions {
            max_tokens: Some(300),
            num_k: Some(1 + number % 3),
            ..ResponseOptions::default()
        };
        world.model.counts();
        let answer = world
            .trainer
            .get_response(&question, &bot, &chat, options)
            .unwrap();
        counts.push(world.model.counts());
        assert_eq!(answer.history.included + answer.history.left_out, number);
        let messages = world.model.last_messages();
        assert_eq!(messages.len(), 2 + 2 * answer.history.included);
        if answer.history.included > 0 {
            let oldest = format!("question {} ", answer.history.left_out);
            assert!(messages[1].content.starts_with(&oldest));
        }
        prompts.push(messages);
    }
    prompts
}

#[test]
fn a_long_chat_keeps_its_beginning_for_many_turns_and_uses_its_room() {
    let prompts = long_chat(&mut Vec::new());
    let tokens = |messages: &[Message]| -> usize {
        let words = |message: &Message| message.content.split_whitespace().count() + 2;
        messages.iter().map(words).sum()
    };
    let mut moves = 0;
    for pair in prompts.windows(2) {
        assert!(tokens(&pair[1]) <= 1000, "{} tokens", tokens(&pair[1]));
        if pair[0].get(1) != pair[1].get(1) && pair[0].len() > 2 {
            moves += 1;
            assert!(tokens(&pair[1]) > 500, "only {} tokens", tokens(&pair[1]));
        }
    }
    assert!(
        (1..=6).contains(&moves),
        "the beginning moved {moves} times"
    );
}

#[test]
fn a_long_chat_is_counted_at_most_three_times_a_question() {
    let mut counts = Vec::new();
    long_chat(&mut counts);
    assert!(
        counts.iter().all(|count| (1..=3).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn turns_that_take_more_tokens_than_the_oldest_still_fit() {
    let world = World::with_context(700);
    let bot = world.bot(&FACTS[..1]);
    let chat = world.trainer.new_chat(&bot).unwrap();
    let options = || ResponseOptions {
        max_tokens: Some(300),
        ..ResponseOptions::default()
    };
    for number in 0..30 {
        // Long words first, then words of one letter: the bytes of a token fall to a tenth.
        let question = match number < 5 {
            true => "incomprehensibilities ".repeat(20),
            false => "a ".repeat(40),
        };
        let answer = world
            .trainer
            .get_response(&question, &bot, &chat, options())
            .unwrap();
        let messages = world.model.last_messages();
        let tokens: usize = messages
            .iter()
            .map(|message| message.content.split_whitespace().count() + 2)
            .sum();
        assert!(tokens <= 400, "{tokens} tokens at turn {number}");
        assert!(number == 0 || answer.history.included > 0);
    }
}
