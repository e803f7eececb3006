//! `chats`, over chats made through the library with a model that needs no weights.

use crate::echo::chats;
use crate::world::{NO_CHAT, NO_VISION_CHAT, World, bot_id};

#[test]
fn chats_are_listed_with_their_turns_text_chats_first() {
    let world = World::new();
    let (bot, chat, vision) = chats(&world, &["one", "two"]);
    let table = world.ok(&["chats", "list", &bot]);
    let rows: Vec<Vec<_>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..2], [chat.as_str(), "2"], "{table}");
    assert_eq!(rows[1][..2], [vision.as_str(), "0"], "{table}");
    let json = world.json(&["chats", "list", &bot, "--json"]);
    assert_eq!(json[0]["kind"], "text");
    assert_eq!(json[1]["chat_id"], vision);
}

#[test]
fn turns_are_shown_newest_first_unless_told_otherwise() {
    let world = World::new();
    let (_, chat, vision) = chats(&world, &["one", "two"]);
    let newest = world.json(&["chats", "show", &chat, "--json"]);
    assert_eq!(newest[0]["question"], "two");
    assert_eq!(newest[1]["answer"], "Echo: one");
    let shown = world.ok(&["chats", "show", &chat, "--oldest-first"]);
    let place = |text: &str| shown.find(text).unwrap();
    assert!(place("You: one") < place("Bot: Echo: one"), "{shown}");
    assert!(place("Bot: Echo: one") < place("You: two"), "{shown}");
    assert_eq!(world.ok(&["chats", "show", &vision]), "");
}

#[test]
fn a_chat_gets_a_title_and_loses_it() {
    let world = World::new();
    let (bot, chat, vision) = chats(&world, &[]);
    world.ok(&["chats", "rename", &chat, "  Mühle \n im Tal "]);
    world.ok(&["chats", "rename", &vision, "Pictures"]);
    let table = world.ok(&["chats", "list", &bot]);
    assert_eq!(
        table.lines().count(),
        2,
        "a title cannot break the table: {table}"
    );
    assert!(
        table.contains("Mühle") && table.contains("Pictures"),
        "{table}"
    );
    world.ok(&["chats", "rename", &chat, ""]);
    let json = world.json(&["chats", "list", &bot, "--json"]);
    assert_eq!(json[0]["title"], serde_json::Value::Null);
}

#[test]
fn a_chat_is_deleted_alone() {
    let world = World::new();
    let (bot, chat, vision) = chats(&world, &["one"]);
    world
        .run(&["chats", "delete", &chat])
        .expect(2, &[&chat, "--yes"]);
    world.ok(&["chats", "delete", &chat, "--yes"]);
    world.run(&["chats", "show", &chat]).expect(3, &[&chat]);
    let rest = world.ok(&["chats", "list", &bot]);
    assert!(
        rest.lines().count() == 1 && rest.starts_with(&vision),
        "{rest}"
    );
}

#[test]
fn an_unknown_chat_is_not_found() {
    let world = World::new();
    world.bot();
    for chat in [NO_CHAT, NO_VISION_CHAT] {
        world.run(&["chats", "show", chat]).expect(3, &[chat]);
        world
            .run(&["chats", "rename", chat, "title"])
            .expect(3, &[chat]);
        world
            .run(&["chats", "delete", chat, "--yes"])
            .expect(3, &[chat]);
    }
}

#[test]
fn deleting_a_bot_takes_its_chats_along() {
    let world = World::new();
    let (bot, chat, _) = chats(&world, &["one"]);
    world.run(&["bot", "delete", &bot]).expect(2, &["2 chats"]);
    world.ok(&["bot", "delete", &bot, "--yes"]);
    world.run(&["chats", "show", &chat]).expect(3, &[&chat]);
    assert!(world.library().bot(&bot_id(&bot)).is_err());
}
