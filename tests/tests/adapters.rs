//! Adapters and vision models in files of one's own, with the real text model.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::path::Path;

use longtrainer_tests::{Shell, models_are_here, repository, stderr};
use serde_json::Value;

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn answer(shell: &Shell, bot: &str, more: &[&str]) -> String {
    let ask = ["ask", bot, "is there a circle?", "--json"];
    let found: Value = shell.json(&[&ask, more].concat());
    found["answer"].as_str().unwrap().to_owned()
}

#[test]
fn an_adapter_changes_an_answer_and_at_no_scale_changes_none() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let bot = shell.bot(&[]);
    // The demo model's adapter was taught to answer such questions in one word.
    let demo = repository().join("models/demo-vision/adapter-demo-vision-f16.gguf");
    let adapter = [
        "--max-tokens",
        "12",
        "--temperature",
        "0",
        "--adapter",
        &text(&demo),
    ];
    let plain = answer(&shell, &bot, &adapter[..4]);
    let adapted = answer(&shell, &bot, &adapter);
    assert!(["yes", "no"].contains(&adapted.as_str()), "{adapted}");
    assert_ne!(plain, adapted);
    let none = [&adapter[..], &["--adapter-scale", "0"]].concat();
    assert_eq!(answer(&shell, &bot, &none), plain);
}

#[test]
fn what_is_no_adapter_or_does_not_fit_is_named() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let bot = shell.bot(&[]);
    let tiny = repository().join("crates/inference/tests/data/adapter");
    let readme = repository().join("README.md");
    for bad in [text(&tiny), text(&readme), "no-such.gguf".to_owned()] {
        let output = shell.run(&["ask", &bot, "?", "--adapter", &bad]);
        let said = stderr(&output);
        assert!(!output.status.success() && said.contains(&bad), "{said}");
    }
}

#[test]
fn a_vision_model_may_lie_in_two_files_of_any_folder() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let demo = repository().join("models/demo-vision");
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "mmproj-demo-vision-f16.gguf",
        "adapter-demo-vision-f16.gguf",
    ] {
        std::fs::copy(demo.join(name), folder.path().join(name)).unwrap();
    }
    let model = shell.ok(&["models", "path", "SmolLM2-135M-Instruct-Q4_1"]);
    let model = Path::new(model.trim()).join("SmolLM2-135M-Instruct.Q4_1.gguf");
    std::os::unix::fs::symlink(model, folder.path().join("text.gguf")).unwrap();
    let circle = text(&repository().join("examples/pictures/red-circle.png"));
    let mmproj = folder.path().join("mmproj-demo-vision-f16.gguf");
    for place in [text(folder.path()), text(&mmproj)] {
        let bot = shell.ok(&["bot", "create", "--vision-model", &place]);
        let found = answer(&shell, bot.trim(), &["--image", &circle]);
        assert_eq!(found, "yes");
    }
}
