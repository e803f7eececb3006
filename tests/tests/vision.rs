//! Pictures, with the demo vision model that ships with the program and the real text model.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use longtrainer_tests::{Shell, models_are_here, repository};
use serde_json::{Value, json};

fn picture(name: &str) -> String {
    let path = repository().join("examples/pictures").join(name);
    path.to_str().unwrap().to_owned()
}

/// Asks about pictures in a new chat, or goes on with one.
fn ask(shell: &Shell, bot: &str, question: &str, more: &[&str]) -> Value {
    shell.json(&[&["ask", bot, question, "--json"], more].concat())
}

#[test]
fn the_documented_flow_sees_remembers_and_goes_on() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let bot = shell.bot(&[&repository().join("examples/documents/island-countries.pdf")]);
    let circle = picture("red-circle.png");
    let first = ask(
        &shell,
        &bot,
        "what color is the circle?",
        &["--image", &circle],
    );
    assert_eq!(first["answer"], "red", "{first}");
    let chat = first["chat_id"].as_str().unwrap().to_owned();
    assert!(chat.starts_with("vision-"));

    // A follow-up without a picture still sees the one before, and costs little: it is known.
    let next = ask(&shell, &bot, "what is the red shape?", &["--chat", &chat]);
    assert_eq!(next["answer"], "circle", "{next}");

    let shown = shell.ok(&["chats", "show", &chat]);
    assert!(shown.contains("red-circle.png"), "{shown}");
    let turns = shell.json(&["chats", "show", &chat, "--json"]);
    assert!(
        turns.to_string().contains("\"response\":\"red\""),
        "{turns}"
    );
}

#[test]
fn a_bot_without_documents_looks_too() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let bot = shell.bot(&[]);
    let triangle = picture("blue-triangle.png");
    for (question, answer) in [
        ("what is the blue shape?", "triangle"),
        ("is there a circle?", "no"),
        ("is there not a red shape in the image?", "yes"),
    ] {
        let found = ask(&shell, &bot, question, &["--image", &triangle]);
        assert_eq!(found["answer"], answer, "{question}");
    }
}

#[test]
fn a_bad_picture_is_named_and_the_chat_lives_on() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let bot = shell.bot(&[]);
    let circle = picture("red-circle.png");
    let first = ask(&shell, &bot, "is there a circle?", &["--image", &circle]);
    let chat = first["chat_id"].as_str().unwrap().to_owned();
    let text = repository().join("README.md");
    let text = text.to_str().unwrap();
    for bad in ["no-such.png", text] {
        let output = shell.run(&["ask", &bot, "what is it?", "--image", bad, "--chat", &chat]);
        let said = longtrainer_tests::stderr(&output);
        assert!(!output.status.success() && said.contains(bad), "{said}");
    }
    let on = ask(&shell, &bot, "what color is the shape?", &["--chat", &chat]);
    assert_eq!(on["answer"], "red", "{on}");
    assert_eq!(on["history"]["included"], 1, "what failed is no history");
}

#[test]
fn answers_are_measured_by_kind() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    std::fs::create_dir(&images).unwrap();
    std::fs::copy(picture("red-circle.png"), images.join("0.png")).unwrap();
    std::fs::copy(picture("blue-triangle.png"), images.join("7.png")).unwrap();
    let questions = json!([
        ["what color is the circle?", "red", 0],
        ["is a triangle present?", "yes", 7],
        ["is a triangle present?", "yes", 0],
    ]);
    let listing = folder.path().join("questions.json");
    std::fs::write(&listing, questions.to_string()).unwrap();
    let path = folder.path().to_str().unwrap();
    let found = shell.json(&["eval", "vqa", path, "--json"]);
    assert_eq!(found["questions"], 3);
    assert_eq!(found["kinds"]["what-colour"]["accuracy"], 1.0);
    assert_eq!(found["kinds"]["shape"]["accuracy"], 0.5, "{found}");
    std::fs::write(&listing, "{}").unwrap();
    let said = longtrainer_tests::stderr(&shell.run(&["eval", "vqa", path]));
    assert!(said.contains("questions.json"), "{said}");
}
