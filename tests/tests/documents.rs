//! The main job over a real PDF: read it, find in it, ask about it, remember, train.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use longtrainer_tests::{Shell, models_are_here, repository};

const QUESTION: &str = "What is the population of Iceland?";

/// The example document, and the page on which the answer to `QUESTION` stands.
fn example() -> (std::path::PathBuf, u64) {
    (
        repository().join("examples/documents/island-countries.pdf"),
        6,
    )
}

#[test]
fn a_pdf_is_read_once_and_found_by_meaning() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let (pdf, page) = example();
    let bot = shell.bot(&[&pdf]);
    let documents = shell.json(&["docs", "list", &bot, "--json"]);
    let pages = documents.as_array().unwrap().len();
    assert!(pages >= 10, "{pages} pages");

    let found = shell.json(&["search", &bot, QUESTION, "--json"]);
    let places: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["metadata"]["page"].clone())
        .collect();
    assert!(places.contains(&page.into()), "{places:?}");

    shell.ok(&["add-doc", &bot, pdf.to_str().unwrap()]);
    let again = shell.json(&["docs", "list", &bot, "--json"]);
    assert_eq!(again, documents, "reading it twice changes nothing");
}

#[test]
fn a_question_is_answered_with_sources_and_remembered() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let (pdf, page) = example();
    let bot = shell.bot(&[&pdf]);

    let answer = shell.json(&["ask", &bot, QUESTION, "--json", "--max-tokens", "64"]);

    assert!(
        answer["answer"].as_str().unwrap().contains("364,036"),
        "{answer}"
    );
    let sources = answer["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 3);
    assert!(
        sources.iter().any(|source| source["page"] == page),
        "{answer}"
    );
    assert!(
        sources
            .iter()
            .all(|s| s["source"].as_str().unwrap().ends_with("countries.pdf"))
    );

    let chat = answer["chat_id"].as_str().unwrap();
    let turns = shell.json(&["chats", "show", chat, "--json"]);
    assert_eq!(turns[0]["question"], QUESTION);
    assert_eq!(turns[0]["answer"], answer["answer"]);
    assert_eq!(turns[0]["status"], "complete");

    let next = shell.json(&[
        "ask",
        &bot,
        "And which is its capital?",
        "--chat",
        chat,
        "--json",
    ]);
    assert_eq!(next["history"]["included"], 1);
    let list = shell.json(&["chats", "list", &bot, "--json"]);
    assert!(list.to_string().contains(chat));
}

#[test]
fn the_same_question_and_seed_get_the_same_answer() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let bot = shell.bot(&[&example().0]);
    let ask = |extra: &[&str]| {
        let args = [
            &["ask", &bot, QUESTION, "--json", "--max-tokens", "24"],
            extra,
        ]
        .concat();
        shell.json(&args)["answer"].clone()
    };
    assert_eq!(ask(&[]), ask(&[]), "greedy");
    let sampled = ["--temperature", "1.5", "--seed", "7"];
    assert_eq!(ask(&sampled), ask(&sampled), "sampled with a seed");
}

#[test]
fn past_answers_are_trained_on_once() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let notes = shell.data_dir.path().join("notes.md");
    std::fs::write(
        &notes,
        "# Herons\n\nHerons nest in tall trees near water.\n",
    )
    .unwrap();
    let bot = shell.bot(&[&notes]);
    shell.json(&[
        "ask",
        &bot,
        "Where do herons nest?",
        "--json",
        "--max-tokens",
        "32",
    ]);

    assert!(
        shell
            .ok(&["train", &bot])
            .contains("Trainer updated with new chat history.")
    );
    let found = shell.json(&["search", &bot, "Where do herons nest?", "--json"]);
    assert!(
        found
            .to_string()
            .contains("Question: Where do herons nest?")
    );
    assert!(
        shell
            .ok(&["train", &bot])
            .contains("No new chats found for training.")
    );
}

#[test]
fn every_documented_format_is_read() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.txt", "The otter sleeps afloat.");
    write("b.md", "# Foxes\n\nA fox hunts mice by sound.");
    write(
        "c.csv",
        "Bird,Nest\nheron,tall trees\nkingfisher,river banks\n",
    );
    write(
        "d.html",
        "<title>Owls</title><script>no()</script><p>Owls turn their heads.</p>",
    );
    write("e.json", "[{\"toad\": \"buries itself in winter\"}]");
    write(
        "f.jsonl",
        "{\"newt\": \"lives in ponds\"}\n{\"eel\": \"swims to the sea\"}\n",
    );
    write("g.xyz", "\u{0}\u{1}\u{2}");
    let bot = shell.bot(&[folder.path()]);
    let sources = |question: &str| {
        let found = shell.json(&["search", &bot, question, "-k", "1", "--json"]);
        found[0]["metadata"]["source"].as_str().unwrap().to_owned()
    };
    for (question, file) in [
        ("How do otters sleep?", "a.txt"),
        ("How does a fox find mice?", "b.md"),
        ("Where does the kingfisher nest?", "c.csv"),
        ("What do owls do with their heads?", "d.html"),
        ("What do toads do in winter?", "e.json"),
        ("Where does the eel swim?", "f.jsonl"),
    ] {
        assert!(
            sources(question).ends_with(file),
            "{question}: {}",
            sources(question)
        );
    }
}

#[test]
fn follow_ups_find_more_with_their_conversation_and_a_changed_subject_little_less() {
    let Some(file) = std::env::var_os("LONGTRAINER_SQUAD") else {
        println!("skipped: LONGTRAINER_SQUAD names no file in SQuAD's layout");
        return;
    };
    if !models_are_here() {
        return;
    }
    let file = file.into_string().unwrap();
    let measured = Shell::default().json(&["eval", "follow-ups", &file, "--json"]);
    let gain = |kind: &str| {
        let recall = |how: &str| measured[kind][how].as_f64().unwrap();
        recall("with_conversation") - recall("alone")
    };
    assert!(gain("elliptical") > 0.08, "{measured}");
    assert!(gain("self_contained") >= 0.0, "{measured}");
    assert!(gain("changed_subject") > -0.02, "{measured}");
}

#[test]
fn retrieval_reaches_the_reference_values() {
    let Some(file) = std::env::var_os("LONGTRAINER_SQUAD") else {
        println!("skipped: LONGTRAINER_SQUAD names no file in SQuAD's layout");
        return;
    };
    if !models_are_here() {
        return;
    }
    let file = file.into_string().unwrap();
    let measured = Shell::default().json(&["eval", "retrieval", &file, "--json"]);
    assert_eq!(measured["questions"], 705);
    for (name, reference) in [
        ("recall@1", 0.738),
        ("recall@3", 0.898),
        ("recall@10", 0.976),
    ] {
        let value = measured[name].as_f64().unwrap();
        assert!(
            (value - reference).abs() <= 0.01,
            "{name} is {value}, reference {reference}"
        );
    }
}
