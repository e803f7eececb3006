//! `longtrainer bench` over the default embedding model: rows of tokens, and texts of a file.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use longtrainer_tests::{Shell, models_are_here};
use serde_json::Value;

fn bench(shell: &Shell, arguments: &[&str]) -> Vec<Value> {
    let embeddings = ["bench", "embeddings", "--device", "cpu", "--threads", "1"];
    let how = ["--repeat", "1", "--json"];
    let printed = shell.json(&[&embeddings, arguments, &how].concat());
    printed.as_array().unwrap().clone()
}

#[test]
fn rows_are_measured_in_the_precision_asked_for() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let measured = bench(&shell, &["--tests", "1x16,2x8", "--precision", "f32"]);
    let names: Vec<_> = measured.iter().map(|row| &row["test"]).collect();
    assert_eq!(names, ["1x16", "2x8"]);
    for row in &measured {
        assert_eq!(row["unit"], "sequences/s");
        assert_eq!(row["arithmetic"], "f32");
        assert_eq!(row["threads"], 1);
        let (rate, share) = (&row["value"], &row["arithmetic_share"]);
        // A product cannot be faster than the instructions it is made of, give or take a noisy peak.
        assert!(rate.as_f64().unwrap() > 0.0);
        assert!((0.0..1.5).contains(&share.as_f64().unwrap()), "{share}");
    }
}

#[test]
fn texts_of_a_file_are_measured_alone() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let path = shell.data_dir.path().join("texts.json");
    std::fs::write(&path, r#"["A mill.", "It stands by the river.", ""]"#).unwrap();
    let measured = bench(&shell, &["--texts", path.to_str().unwrap()]);
    assert_eq!(measured.len(), 1, "{measured:?}");
    let row = &measured[0];
    assert_eq!(
        (&row["test"], &row["unit"]),
        (&"texts".into(), &"texts/s".into())
    );
    assert!(row["value"].as_f64().unwrap() > 0.0);
}

#[test]
fn rows_longer_than_the_model_takes_are_refused() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let said = shell.fails(4, &["bench", "embeddings", "--tests", "1x257"]);
    assert!(said.contains("1x257") && said.contains("256"), "{said}");
}
