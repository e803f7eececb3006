//! `models` with an empty models folder and no network, and the commands that need a model there.

use crate::world::World;

const EMBEDDER: &str = "all-MiniLM-L6-v2";

#[test]
fn models_are_listed_with_what_is_missing() {
    let world = World::new();
    let listed = world.ok(&["models", "list"]);
    assert!(
        listed.contains(EMBEDDER) && listed.contains("missing"),
        "{listed}"
    );
    let json = world.json(&["models", "list", "--json"]);
    let entry = json
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == EMBEDDER)
        .unwrap();
    assert_eq!(entry["role"], "embedding");
    assert_eq!(entry["default"], true);
    assert_eq!(entry["status"], "missing");
    assert!(
        entry["reason"]
            .as_str()
            .unwrap()
            .contains("model.safetensors")
    );
}

#[test]
fn the_published_vision_model_is_listed_and_can_be_asked_for() {
    const NAME: &str = "SmolVLM-256M-Instruct";
    let world = World::new();
    let listed = world.ok(&["models", "list"]);
    let row = listed.lines().find(|line| line.starts_with(NAME)).unwrap();
    assert!(
        row.contains("vision ") && row.contains("at least 489.26 MiB"),
        "{row}"
    );
    let json = world.json(&["models", "list", "--json"]);
    let entries = json.as_array().unwrap();
    let entry = |name| entries.iter().find(|entry| entry["name"] == name).unwrap();
    assert_eq!(entry(NAME)["size"], 513_028_808);
    assert_eq!(entry(NAME)["size_is_exact"], false);
    assert_eq!(entry(EMBEDDER)["size_is_exact"], true);
    world
        .run(&["models", "pull", NAME])
        .expect(6, &[NAME, "model.safetensors", "chat_template.json"]);
    let bot = world.ok(&["bot", "create", "--vision-model", NAME]);
    world.write("picture.txt", "no picture");
    let picture = world.path("picture.txt").display().to_string();
    world
        .run(&["ask", bot.trim(), "What is it?", "--image", &picture])
        .expect(6, &[NAME, "preprocessor_config.json"]);
}

#[test]
fn a_missing_model_is_told_with_its_files_and_folders() {
    let world = World::new();
    let folder = world.path("models").display().to_string();
    for arguments in [&["models", "path", EMBEDDER][..], &["models", "pull"]] {
        world
            .run(arguments)
            .expect(6, &[EMBEDDER, "model.safetensors", &folder]);
    }
}

#[test]
fn an_unknown_model_is_not_found() {
    let world = World::new();
    for arguments in [
        &["models", "path", "nonsense"][..],
        &["models", "pull", EMBEDDER, "nonsense"],
        &["models", "verify", "nonsense"],
        &["models", "remove", "nonsense", "--yes"],
    ] {
        world.run(arguments).expect(3, &["nonsense", EMBEDDER]);
    }
}

#[test]
fn verify_names_every_file_that_is_wrong() {
    let world = World::new();
    let verified = world.ok(&["models", "verify"]);
    assert!(
        verified
            .lines()
            .all(|line| line.starts_with("demo-vision ") && line.ends_with(" whole")),
        "nothing is here but what comes with the program: {verified}"
    );
    world.write("models/all-MiniLM-L6-v2/config.json", "{}");
    let run = world.run(&["models", "verify"]).expect(6, &[EMBEDDER]);
    assert!(
        run.stdout
            .contains("config.json  DAMAGED: 2 bytes, should be 612"),
        "{run:?}"
    );
    assert!(run.stdout.contains("model.safetensors  MISSING"), "{run:?}");
}

#[test]
fn removing_needs_yes_and_takes_only_the_models_files() {
    let world = World::new();
    let file = world.write("models/all-MiniLM-L6-v2/config.json", "{}");
    let mine = world.write("models/all-MiniLM-L6-v2/mine.txt", "x");
    world
        .run(&["models", "remove", EMBEDDER])
        .expect(2, &[EMBEDDER, "--yes"]);
    assert!(file.exists());
    world.ok(&["models", "remove", EMBEDDER, "--yes"]);
    assert!(!file.exists() && mine.exists());
}

#[test]
fn questions_without_a_model_are_refused_and_leave_no_chat() {
    let world = World::new();
    let bot = world.bot();
    world
        .run(&["ask", &bot, "why?"])
        .expect(6, &[EMBEDDER, "offline"]);
    world.run(&["chat", &bot]).expect(6, &[EMBEDDER]);
    world.run(&["search", &bot, "words"]).expect(6, &[EMBEDDER]);
    world.run(&["train", &bot]).expect(6, &[EMBEDDER]);
    assert_eq!(world.ok(&["chats", "list", &bot]), "");
}

#[test]
fn an_evaluation_without_a_model_touches_no_data_folder() {
    let world = World::new();
    world.write("squad.json", r#"{"data": []}"#);
    world
        .run(&["eval", "retrieval", "squad.json"])
        .expect(6, &[EMBEDDER]);
    assert!(!world.data().exists());
}
