//! The command line itself: help, exit codes, pipes.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::world::{NO_BOT, World};

#[test]
fn help_names_every_command_and_every_exit_code() {
    let help = World::new().ok(&["--help"]);
    for word in [
        "init",
        "bot",
        "add-doc",
        "docs",
        "chat",
        "ask",
        "chats",
        "train",
        "search",
        "models",
        "keys",
        "eval",
        "serve",
        "--data-dir",
        "--offline",
        "Exit codes",
        "130",
    ] {
        assert!(help.contains(word), "{word}\n{help}");
    }
}

#[test]
fn the_version_is_told() {
    let version = World::new().ok(&["--version"]);
    assert_eq!(
        version.trim(),
        format!("longtrainer {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let world = World::new();
    world.run(&[]).expect(2, &["Usage"]);
    world.run(&["bots"]).expect(2, &["bots"]);
    world
        .run(&["bot", "show", "nonsense"])
        .expect(2, &["\"nonsense\" is not a bot id"]);
    world
        .run(&["chats", "show", "vision-1"])
        .expect(2, &["is not a vision chat id"]);
    world
        .run(&["bot", "list", "--device", "gpu"])
        .expect(2, &["gpu"]);
    world
        .run(&["bot", "list", "--memory", "0GiB"])
        .expect(2, &["memory_budget is \"0GiB\""]);
    world
        .run(&["bot", "list", "--keep-alive", "soon"])
        .expect(2, &["keep_alive is \"soon\""]);
    world
        .run(&[
            "bot",
            "list",
            "--memory-budget",
            "6GiB",
            "--keep-alive",
            "10m",
        ])
        .expect(0, &[]);
    world
        .run(&["ask", NO_BOT, "why?", "--temperature", "hot"])
        .expect(2, &["temperature"]);
    world
        .run(&["--quiet", "--verbose", "bot", "list"])
        .expect(2, &["--verbose"]);
}

#[test]
fn a_schema_file_that_cannot_be_read_is_told_before_anything_is_opened() {
    let world = World::new();
    let ask = |file: &str| world.run(&["ask", NO_BOT, "why?", "--schema", file]);
    ask("nowhere.json").expect(4, &["nowhere.json"]);
    world.write("broken.json", "{\"type\": ");
    ask("broken.json").expect(4, &["broken.json", "EOF"]);
    assert!(!world.data().exists());
    world.write("fine.json", "{\"type\": \"object\"}");
    ask("fine.json").expect(3, &[NO_BOT]);
}

#[test]
fn a_help_or_usage_error_makes_no_data_folder() {
    let world = World::new();
    world.ok(&["--help"]);
    world.run(&["bot", "show", "nonsense"]).expect(2, &[]);
    world.ok(&["models", "list"]);
    assert!(!world.data().exists());
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let world = World::new();
    for _ in 0..3 {
        world.bot();
    }
    let mut child = world
        .command(&["bot", "list", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything can have been written.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_data_folder_in_use_is_a_conflict_that_names_it() {
    let world = World::new();
    world.bot();
    let _open = world.library();
    world
        .run(&["bot", "list"])
        .expect(5, &["in use", "longtrainer.redb"]);
}

#[test]
fn a_data_folder_that_cannot_be_is_an_error_that_names_it() {
    let world = World::new();
    let file = world.write("plain-file", "x");
    let run = world.run(&["--data-dir", &file.display().to_string(), "bot", "list"]);
    run.expect(1, &["plain-file"]);
}

#[test]
fn a_damaged_store_is_an_error_that_names_it() {
    let world = World::new();
    world.write("data/longtrainer.redb", "not a database at all");
    world.run(&["bot", "list"]).expect(1, &["longtrainer.redb"]);
    assert_eq!(
        std::fs::read(world.path("data/longtrainer.redb")).unwrap(),
        b"not a database at all"
    );
}

#[test]
fn quiet_says_only_what_was_asked_for() {
    let run = World::new()
        .run(&["--quiet", "bot", "create"])
        .expect(0, &[]);
    assert_eq!(run.stderr, "");
    assert!(run.stdout.starts_with("bot-"), "{run:?}");
}

#[test]
fn standard_error_has_no_escape_sequences_when_piped() {
    let world = World::new();
    let run = world
        .run(&["-vv", "bot", "show", NO_BOT])
        .expect(3, &[NO_BOT]);
    assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
}

#[test]
fn the_server_takes_no_address_that_others_can_reach() {
    let world = World::new();
    world
        .run(&["serve", "--host", "0.0.0.0", "--port", "0"])
        .expect(4, &["0.0.0.0"]);
    let missing = ["serve", "--port", "0", "--allow-dir", "missing-folder"];
    world.run(&missing).expect(4, &["missing-folder"]);
}

#[test]
fn the_server_says_where_it_listens_and_that_models_are_missing() {
    let world = World::new();
    let mut child = world
        .command(&["serve", "--port", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    read.unwrap();
    assert!(line.contains("http://127.0.0.1:"), "{line}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains("warning: model all-MiniLM-L6-v2"),
        "{stderr}"
    );
}
