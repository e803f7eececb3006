//! `bot`: making, listing, showing, changing, deleting.

use crate::world::{NO_BOT, World, bot_id};

#[test]
fn only_the_id_is_printed_and_the_bot_is_there() {
    let world = World::new();
    let printed = world.ok(&[
        "bot",
        "create",
        "--num-k",
        "5",
        "--prompt",
        "Say: {context}",
    ]);
    let bot = printed.trim();
    assert_eq!(bot_id(bot).as_str(), bot);
    assert_eq!(printed.lines().count(), 1);
    let shown = world.json(&["bot", "show", bot, "--json"]);
    assert_eq!(shown["bot_id"], bot);
    assert_eq!(shown["settings"]["num_k"], 5);
    assert_eq!(shown["settings"]["prompt_template"], "Say: {context}");
    assert_eq!(shown["documents"], 0);
}

#[test]
fn bots_are_listed_oldest_first() {
    let world = World::new();
    let bots = [world.bot(), world.bot(), world.bot()];
    let listed = world.ok(&["bot", "list"]);
    let ids: Vec<_> = listed.lines().collect();
    assert_eq!(ids, bots);
    let json = world.json(&["bot", "list", "--json"]);
    assert_eq!(json[2]["bot_id"], bots[2]);
}

#[test]
fn no_bots_are_an_empty_list() {
    let world = World::new();
    assert_eq!(world.ok(&["bot", "list"]), "");
    assert_eq!(
        world.json(&["bot", "list", "--json"]),
        serde_json::json!([])
    );
}

#[test]
fn a_bot_with_unusable_settings_is_not_left_behind() {
    let world = World::new();
    world
        .run(&["bot", "create", "--prompt", "no place"])
        .expect(4, &["{context}"]);
    world
        .run(&["bot", "create", "--prompt", "{context} {x}"])
        .expect(4, &["{x}"]);
    world
        .run(&["bot", "create", "--num-k", "0"])
        .expect(4, &["num_k"]);
    world
        .run(&["bot", "create", "--chunk-size", "5", "--chunk-overlap", "9"])
        .expect(4, &["9"]);
    assert_eq!(world.ok(&["bot", "list"]), "");
}

#[test]
fn a_prompt_comes_from_a_file_too() {
    let world = World::new();
    world.write("prompt.txt", "Größe:\n{context}\n");
    let bot = world.ok(&["bot", "create", "--prompt-file", "prompt.txt"]);
    let shown = world.json(&["bot", "show", bot.trim(), "--json"]);
    assert_eq!(shown["settings"]["prompt_template"], "Größe:\n{context}\n");
    world
        .run(&["bot", "create", "--prompt-file", "nowhere.txt"])
        .expect(4, &["nowhere.txt"]);
    world.write("binary", b"\xff\xfe{context}");
    world
        .run(&["bot", "create", "--prompt-file", "binary"])
        .expect(4, &["binary"]);
    let both = [
        "bot",
        "create",
        "--prompt",
        "{context}",
        "--prompt-file",
        "prompt.txt",
    ];
    world.run(&both).expect(2, &["--prompt-file"]);
}

#[test]
fn an_update_changes_only_what_it_names() {
    let world = World::new();
    let bot = world.ok(&["bot", "create", "--prompt", "A {context}", "--num-k", "4"]);
    let bot = bot.trim();
    world.ok(&["bot", "update", bot, "--num-k", "6"]);
    let shown = world.json(&["bot", "show", bot, "--json"]);
    assert_eq!(shown["settings"]["num_k"], 6);
    assert_eq!(shown["settings"]["prompt_template"], "A {context}");
    world
        .run(&["bot", "update", bot, "--prompt", "none"])
        .expect(4, &["{context}"]);
    assert_eq!(
        world.json(&["bot", "show", bot, "--json"])["settings"],
        shown["settings"]
    );
}

#[test]
fn deleting_needs_yes_where_nobody_can_be_asked() {
    let world = World::new();
    let bot = world.bot();
    world
        .run(&["bot", "delete", &bot])
        .expect(2, &[&bot, "--yes"]);
    world.ok(&["bot", "show", &bot]);
    world.ok(&["bot", "delete", &bot, "--yes"]);
    world.run(&["bot", "show", &bot]).expect(3, &[&bot]);
    world
        .run(&["bot", "delete", &bot, "--yes"])
        .expect(3, &[&bot]);
}

#[test]
fn an_unknown_bot_is_not_found_and_not_made() {
    let world = World::new();
    world.bot();
    world.write("a.txt", "text");
    for arguments in [
        &["bot", "show", NO_BOT][..],
        &["bot", "update", NO_BOT, "--num-k", "2"],
        &["bot", "build", NO_BOT],
        &["bot", "reindex", NO_BOT],
        &["add-doc", NO_BOT, "a.txt"],
        &["docs", "list", NO_BOT],
        &["docs", "remove", NO_BOT, "1"],
        &["chat", NO_BOT],
        &["ask", NO_BOT, "why?"],
        &["chats", "list", NO_BOT],
        &["train", NO_BOT],
        &["search", NO_BOT, "words"],
    ] {
        world.run(arguments).expect(3, &["error: ", NO_BOT]);
    }
    assert_eq!(world.ok(&["bot", "list"]).lines().count(), 1);
}

#[test]
fn the_ensemble_is_switched_on_and_off() {
    let world = World::new();
    let bot = world.ok(&["bot", "create", "--ensemble"]);
    let bot = bot.trim();
    let ensemble = || world.json(&["bot", "show", bot, "--json"])["settings"]["ensemble"].clone();
    assert_eq!(ensemble(), true);
    assert!(
        world
            .ok(&["bot", "show", bot])
            .contains("ensemble:        true")
    );
    world.ok(&["bot", "update", "--ensemble=false", bot]);
    assert_eq!(ensemble(), false);
    world
        .run(&["bot", "update", bot, "--ensemble=perhaps"])
        .expect(2, &["perhaps"]);
}
