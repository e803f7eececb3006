use std::error::Error as _;

use super::*;
use crate::entry::{Role, Source};

const HASH: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

fn model(name: &str, extra: &str, path: &str) -> String {
    format!(
        "version = 1\n[[model]]\nname = \"{name}\"\nrole = \"text\"\n{extra}\ndescription = \"d\"\n\
         licence = \"MIT\"\nweights = \"{path}\"\n[[model.file]]\npath = \"{path}\"\nsize = 3\n\
         sha256 = \"{HASH}\"\n"
    )
}

/// Parses a text that must be refused; returns the line and the whole chain of messages.
fn refusal(text: &str) -> (usize, String) {
    match parse(text, Path::new("mine.toml")).unwrap_err() {
        error @ Error::Manifest { line, .. } => {
            (line, format!("{error}: {}", error.source().unwrap()))
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_built_in_list_has_one_default_of_each_shipped_role() {
    let models = load(None).unwrap();
    for role in [Role::Embedding, Role::Text, Role::Vision] {
        assert_eq!(
            models
                .iter()
                .filter(|m| m.default && m.role == role)
                .count(),
            1,
            "{role}"
        );
    }
    for model in &models {
        assert!(model.weights_file().is_some(), "{}", model.name);
    }
    for model in models.iter().filter(|model| model.default) {
        let needs_no_hub = |s: &Source| matches!(s, Source::Python(_) | Source::Embedded(_));
        assert!(model.sources.iter().any(needs_no_hub), "{}", model.name);
        assert_eq!(model.total_size(), Some(model.least_size()));
    }
}

#[test]
fn the_published_vision_model_is_listed_with_its_weights_and_at_a_commit() {
    let models = load(None).unwrap();
    let model = models
        .iter()
        .find(|model| model.name == "SmolVLM-256M-Instruct")
        .unwrap();
    assert_eq!((model.role, model.default), (Role::Vision, false));
    // Both halves are in one folder.
    assert_eq!((&model.text, &model.adapter), (&None, &None));
    let weights = model.weights_file().unwrap();
    assert_eq!(weights.size, Some(513_028_808));
    assert!(weights.sha256.is_some());
    let [Source::Hub(hub)] = &model.sources[..] else {
        panic!("{:?}", model.sources)
    };
    assert!(hub.is_pinned());
    assert_eq!(model.total_size(), None);
    assert_eq!(model.least_size(), 513_028_808);
    // What the loaders of both halves look for.
    for name in [
        "config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "chat_template.json",
    ] {
        assert!(model.files.iter().any(|file| file.path == name), "{name}");
    }
}

/// A list of one model with weights and a configuration without a hash, and its sources.
fn vague(sources: &str) -> String {
    let file = "[[model.file]]\npath = \"config.json\"\n";
    model("m", "", "m.gguf") + file + sources
}

fn hub(revision: &str) -> String {
    format!("[[model.source]]\nkind = \"hub\"\nrepo = \"owner/m\"\nrevision = \"{revision}\"\n")
}

const COMMIT: &str = "7e3e67edbbed1bf9888184d9df282b700a323964";

#[test]
fn what_a_commit_fixes_needs_no_hash() {
    let models = parse(&vague(&hub(COMMIT)), Path::new("mine.toml")).unwrap();
    let config = &models[0].files[1];
    assert_eq!((config.size, &config.sha256), (None, &None));
    // What is known of it may be said.
    let sized = vague(&hub(COMMIT)).replace("config.json\"\n", "config.json\"\nsize = 612\n");
    let models = parse(&sized, Path::new("mine.toml")).unwrap();
    assert_eq!(models[0].files[1].size, Some(612));
}

#[test]
fn what_nothing_fixes_needs_a_hash() {
    let python = "[[model.source]]\nkind = \"python\"\npackage = \"p\"\nversion = \"1\"\n\
                  folder = \"f\"\n";
    let embedded = "[[model.source]]\nkind = \"embedded\"\n";
    let at_commit = hub(COMMIT);
    let weights = |path: &str| vague(&at_commit).replace("config.json", path);
    let cases = [
        (vague(""), "no source"),
        (vague(&hub("main")), "owner/m@main"),
        (vague(&hub(&COMMIT[..39])), &COMMIT[..39]),
        (vague(&(at_commit.clone() + python)), "python package p==1"),
        (vague(&(at_commit.clone() + embedded)), "this program"),
        (weights("more.safetensors"), "it holds weights"),
        (weights("more.GGUF"), "it holds weights"),
        (
            model("m", "", "m.gguf").replace("size = 3\n", "") + &at_commit,
            "it holds weights",
        ),
        (
            model("m", "", "m.bin").replace(&format!("sha256 = \"{HASH}\"\n"), "") + &at_commit,
            "m.bin",
        ),
    ];
    for (text, expected) in cases {
        let (_, message) = refusal(&text);
        assert!(message.contains(expected), "{expected:?} not in: {message}");
        assert!(message.contains("needs a size and a SHA-256"), "{message}");
    }
}

#[test]
fn a_user_file_adds_models_and_takes_over_a_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, model("mine", "default = true", "m.gguf")).unwrap();
    let models = load(Some(&path)).unwrap();
    let defaults: Vec<_> = models
        .iter()
        .filter(|m| m.default && m.role == Role::Text)
        .map(|m| &m.name)
        .collect();
    assert_eq!(defaults, ["mine"]);
    assert!(
        models
            .iter()
            .any(|m| m.name == "SmolLM2-135M-Instruct-Q4_1" && !m.default)
    );
}

#[test]
fn a_user_file_replaces_a_model_of_the_same_name() {
    let text = model("SmolLM2-135M-Instruct-Q4_1", "", "other.gguf");
    let built_in = load(None).unwrap();
    let merged = merge(
        built_in.clone(),
        parse(&text, Path::new("mine.toml")).unwrap(),
    );
    assert_eq!(merged.len(), built_in.len());
    assert!(merged.iter().any(|m| m.weights == "other.gguf"));
}

#[test]
fn a_syntax_error_names_file_and_line() {
    let (line, message) = refusal("version = 1\n\n[[model]\n");
    assert_eq!(line, 3);
    assert!(message.contains("mine.toml"), "{message}");
}

#[test]
fn a_path_out_of_the_folder_is_refused_at_its_line() {
    for path in ["../../etc/passwd", "/etc/passwd", "a/../../b"] {
        let text = model("m", "", path);
        let (line, message) = refusal(&text);
        assert!(
            text.lines().nth(line - 1).unwrap().contains(path),
            "line {line}: {message}"
        );
        assert!(message.contains(path), "{message}");
    }
}

#[test]
fn fields_that_do_not_fit_together_are_refused() {
    let cases = [
        (
            model("m", "", "m.gguf").replace("weights = \"m.gguf\"", "weights = \"n.gguf\""),
            "n.gguf",
        ),
        (model("m", "colour = \"red\"", "m.gguf"), "colour"),
        (
            model("m", "", "m.gguf").replace(HASH, "abc"),
            "64 hexadecimal digits",
        ),
        (model("../m", "", "m.gguf"), "../m"),
        (
            model("m", "", "m.gguf").replace("version = 1", "version = 9"),
            "version 1",
        ),
        (
            model("m", "", "m.gguf")
                + "[[model.source]]\nkind = \"python\"\npackage = \"-rx\"\nversion = \"1\"\n\
                   folder = \"f\"\n",
            "-rx",
        ),
        (
            model("m", "", "m.gguf")
                + "[[model.source]]\nkind = \"hub\"\nrepo = \"a/b\"\nrevision = \"main\"\n\
                   map = { \"x.gguf\" = \"y.gguf\" }\n",
            "x.gguf",
        ),
    ];
    for (text, expected) in cases {
        let (_, message) = refusal(&text);
        assert!(message.contains(expected), "{expected:?} not in: {message}");
    }
}

#[test]
fn a_missing_user_file_is_named() {
    let error = load(Some(Path::new("no/such.toml"))).unwrap_err();
    assert!(error.to_string().contains("no/such.toml"), "{error}");
}
