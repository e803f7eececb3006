//! `add-doc` and `docs`, without a build.

use crate::world::{World, text_of};

fn sources(world: &World, bot: &str) -> Vec<String> {
    let documents = world.json(&["docs", "list", bot, "--json"]);
    let source = |document: &serde_json::Value| document["metadata"]["source"].as_str().map(text);
    documents
        .as_array()
        .unwrap()
        .iter()
        .map(|document| source(document).unwrap())
        .collect()
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn files_are_stored_once_and_wait_for_a_build() {
    let world = World::new();
    let bot = world.bot();
    let note = world.write("note.txt", "The mill was built in 1871.");
    world.write("people.csv", "Name,Age\nAda,36\nAlan,41\n");
    let add = ["add-doc", &bot, "note.txt", "people.csv", "--no-build"];
    world.run(&add).expect(0, &["Added 3 documents"]);
    world
        .run(&add)
        .expect(0, &["Added 0 documents; there already: 3"]);
    let documents = world.json(&["docs", "list", &bot, "--json"]);
    assert_eq!(documents.as_array().unwrap().len(), 3);
    assert_eq!(
        documents[0]["metadata"]["source"],
        text_of(&note.canonicalize().unwrap())
    );
    assert_eq!(documents[0]["chunks"], serde_json::Value::Null);
    assert_eq!(documents[2]["metadata"]["row"], 1);
    let table = world.ok(&["docs", "list", &bot]);
    assert!(
        table.contains("waiting") && table.contains("people.csv, row 1"),
        "{table}"
    );
}

#[test]
fn the_good_files_of_a_folder_are_added_and_the_others_told() {
    let world = World::new();
    let bot = world.bot();
    world.write("docs/good.txt", "Good.");
    world.write("docs/deep/er/fine.md", "# Fine\n\nText.");
    world.write("docs/bad.pdf", "this is no PDF");
    world.write("docs/song.mp3", b"\x00\x01\x02\xff");
    let run = world.run(&["add-doc", &bot, "docs", "--no-build"]);
    run.expect(
        4,
        &[
            "bad.pdf",
            "skipped",
            "song.mp3",
            "Added 2 documents",
            "failed: 1",
        ],
    );
    assert_eq!(sources(&world, &bot).len(), 2);
}

#[test]
fn a_glob_chooses_among_the_files_of_a_folder() {
    let world = World::new();
    let bot = world.bot();
    world.write("docs/a.txt", "A");
    world.write("docs/b.md", "B");
    world.ok(&["add-doc", &bot, "docs", "--glob", "**/*.md", "--no-build"]);
    let sources = sources(&world, &bot);
    assert!(
        matches!(&sources[..], [one] if one.ends_with("b.md")),
        "{sources:?}"
    );
}

#[test]
fn one_bad_file_keeps_no_other_out() {
    let world = World::new();
    let bot = world.bot();
    world.write("good.txt", "Good.");
    world.write("empty.txt", "");
    let add = [
        "add-doc",
        &bot,
        "nowhere.txt",
        "good.txt",
        "empty.txt",
        "--no-build",
    ];
    world
        .run(&add)
        .expect(4, &["nowhere.txt", "empty.txt", "Added 1 document;"]);
    assert_eq!(sources(&world, &bot).len(), 1);
}

#[test]
fn a_jq_expression_makes_a_document_a_result() {
    let world = World::new();
    let bot = world.bot();
    world.write("data.json", r#"{"items": [{"t": "one"}, {"t": "two"}]}"#);
    world.ok(&[
        "add-doc",
        &bot,
        "data.json",
        "--jq",
        ".items[].t",
        "--no-build",
    ]);
    assert_eq!(sources(&world, &bot).len(), 2);
    let wrong = [
        "add-doc",
        &bot,
        "data.json",
        "--jq",
        ".items[",
        "--no-build",
    ];
    world.run(&wrong).expect(4, &[".items["]);
    std::fs::create_dir(world.path("folder")).unwrap();
    let folder = ["add-doc", &bot, "folder", "--jq", ".x", "--no-build"];
    world.run(&folder).expect(2, &["folder", "--jq"]);
}

#[test]
fn documents_that_cannot_be_built_offline_are_kept() {
    let world = World::new();
    let bot = world.bot();
    world.write("a.txt", "Text.");
    let run = world.run(&["add-doc", &bot, "a.txt"]);
    run.expect(
        6,
        &["all-MiniLM-L6-v2", "model.safetensors", "offline", "models"],
    );
    assert_eq!(sources(&world, &bot).len(), 1);
}

#[test]
fn a_link_is_not_followed_offline_and_no_file_of_that_name_is_looked_for() {
    let world = World::new();
    let bot = world.bot();
    let run = world.run(&["add-doc", &bot, "HTTP://203.0.113.1/a.txt", "--no-build"]);
    run.expect(6, &["HTTP://203.0.113.1/a.txt", "offline"]);
    let run = world.run(&[
        "add-doc",
        &bot,
        "http://203.0.113.1/a.json",
        "--jq",
        ".",
        "--no-build",
    ]);
    run.expect(2, &["--jq", "link"]);
    assert!(sources(&world, &bot).is_empty());
}

#[test]
fn documents_are_removed_by_id_or_by_source() {
    let world = World::new();
    let bot = world.bot();
    world.write("a.txt", "A");
    world.write("rows.csv", "N\n1\n2\n");
    world.ok(&["add-doc", &bot, "a.txt", "rows.csv", "--no-build"]);
    let id = world.json(&["docs", "list", &bot, "--json"])[0]["document_id"].to_string();
    world
        .run(&["docs", "remove", &bot, &id, "999"])
        .expect(3, &["999"]);
    assert_eq!(sources(&world, &bot).len(), 3, "all or nothing");
    world.ok(&["docs", "remove", &bot, &id]);
    std::fs::remove_file(world.path("rows.csv")).unwrap();
    let run = world.run(&["docs", "remove", &bot, "--source", "rows.csv"]);
    run.expect(0, &["Removed 2 documents"]);
    assert!(sources(&world, &bot).is_empty());
    world
        .run(&["docs", "remove", &bot, "--source", "rows.csv"])
        .expect(3, &["rows.csv"]);
    world.run(&["docs", "remove", &bot]).expect(2, &["DOC_ID"]);
}
