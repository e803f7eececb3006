//! `init` and the settings file.

use crate::world::{World, text_of};

#[test]
fn init_writes_a_file_that_every_command_then_reads() {
    let world = World::new();
    let run = world
        .run(&[
            "init",
            "--num-k",
            "7",
            "--temperature",
            "0.5",
            "--no-keep-pictures",
        ])
        .expect(0, &[]);
    let path = world.data().join("longtrainer.toml");
    assert_eq!(run.stdout.trim(), text_of(&path));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("num_k = 7") && text.contains("temperature = 0.5"),
        "{text}"
    );
    assert!(
        text.contains("keep_pictures = false") && text.contains("max_pictures = 16"),
        "{text}"
    );
    let bot = world.bot();
    let shown = world.ok(&["bot", "show", &bot]);
    assert!(shown.contains("num_k:           7"), "{shown}");
    assert!(shown.contains("keep pictures:   false"), "{shown}");
    assert!(shown.contains("vision model:    demo-vision"), "{shown}");
}

#[test]
fn init_overwrites_only_when_forced() {
    let world = World::new();
    world.ok(&["init"]);
    let path = world.data().join("longtrainer.toml");
    let before = std::fs::read(&path).unwrap();
    world
        .run(&["init", "--num-k", "9"])
        .expect(5, &["longtrainer.toml", "--force"]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    world.ok(&["init", "--num-k", "9", "--force"]);
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("num_k = 9")
    );
    let left: Vec<_> = std::fs::read_dir(world.data()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn init_refuses_what_no_command_could_use_and_writes_nothing() {
    let world = World::new();
    world
        .run(&["init", "--chunk-size", "10", "--chunk-overlap", "20"])
        .expect(4, &["20", "10"]);
    world
        .run(&["init", "--num-k", "0"])
        .expect(4, &["num_k", "0"]);
    world
        .run(&["init", "--max-answer-tokens", "0"])
        .expect(4, &["max_answer_tokens"]);
    world
        .run(&["init", "--max-pictures", "0"])
        .expect(4, &["max_pictures"]);
    assert!(!world.data().join("longtrainer.toml").exists());
}

#[test]
fn a_named_settings_file_is_written_and_read_where_it_is() {
    let world = World::new();
    world.ok(&["--config", "here/my.toml", "init", "--chunk-size", "300"]);
    let bot = world.ok(&["--config", "here/my.toml", "bot", "create"]);
    let shown = world.ok(&["--config", "here/my.toml", "bot", "show", bot.trim()]);
    assert!(shown.contains("chunk size:      300"), "{shown}");
    let unset = world.ok(&["bot", "show", bot.trim()]);
    assert!(unset.contains("chunk size:      2048"), "{unset}");
}

#[test]
fn a_named_settings_file_must_exist() {
    World::new()
        .run(&["--config", "nowhere.toml", "bot", "list"])
        .expect(3, &["nowhere.toml"]);
}

#[test]
fn a_malformed_settings_file_is_told_with_file_line_and_key() {
    let world = World::new();
    for (text, words) in [
        ("[retrieval]\nnumber = 3\n", &["line 2", "number"][..]),
        ("[retreival]\nnum_k = 3\n", &["line 1", "retreival"]),
        (
            "[chat]\nmax_answer_tokens = \"many\"\n",
            &["line 2", "many"],
        ),
        ("[server]\nhost = \"everywhere\"\n", &["line 2"]),
        ("num_k: 3\n", &["line 1"]),
    ] {
        world.write("data/longtrainer.toml", text);
        world
            .run(&["bot", "list"])
            .expect(4, &[&["longtrainer.toml"], words].concat());
    }
    world.write("data/longtrainer.toml", b"\xff\xfe\x00");
    world.run(&["bot", "list"]).expect(4, &["longtrainer.toml"]);
}

#[test]
fn a_value_out_of_range_in_the_settings_file_is_told() {
    let world = World::new();
    world.write("data/longtrainer.toml", "[retrieval]\nnum_k = 0\n");
    world.run(&["bot", "list"]).expect(4, &["num_k"]);
}

#[test]
fn the_ensemble_can_be_the_rule_for_all_bots() {
    let world = World::new();
    world.ok(&["init", "--ensemble"]);
    let bot = world.bot();
    let shown = world.ok(&["bot", "show", &bot]);
    assert!(shown.contains("ensemble:        true"), "{shown}");
}
