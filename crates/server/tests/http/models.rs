//! Models over HTTP: which there are, fetching, loading and unloading them.

use serde_json::{Value, json};

use crate::fakes::{World, eventually};
use crate::server::TestServer;

fn named<'a>(models: &'a Value, name: &str) -> &'a Value {
    let all = models["models"].as_array().unwrap();
    let found = all.iter().find(|model| model["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {models}"))
}

#[test]
fn models_are_listed_with_where_they_stand() {
    let server = TestServer::over(World::blind(), |_| {});
    let models = server.get("/models").ok();
    let given = named(&models, "scripted");
    assert_eq!(
        (&given["role"], &given["status"]),
        (&json!("text"), &json!("given"))
    );
    assert_eq!(given["loaded"]["pinned"], true);
    let missing = named(&models, "all-MiniLM-L6-v2");
    assert_eq!(
        (&missing["role"], &missing["status"], &missing["default"]),
        (&json!("embedding"), &json!("missing"), &json!(true))
    );
    assert!(
        missing["reason"].as_str().unwrap().contains("safetensors"),
        "{missing}"
    );
    assert!(missing["size"].as_u64() > Some(1 << 20), "{missing}");
    assert_eq!(missing["loaded"], json!(null));
}

#[test]
fn only_models_that_are_known_by_name_are_loaded() {
    let server = TestServer::over(World::blind(), |_| {});
    let model = |name: &str| json!({ "model": name });
    let loaded = server.post("/models/load", &model("scripted")).ok();
    assert_eq!(
        loaded,
        json!({"status": "ok", "model": "scripted", "role": "text"})
    );
    for name in ["nothing", "/etc/passwd", "../x", ""] {
        for path in ["/models/load", "/models/pull"] {
            let reason = server.post(path, &model(name)).refused(404);
            assert!(reason.contains("known models"), "{reason}");
        }
    }
    // It is known, and not here.
    let reason = server
        .post("/models/load", &model("all-MiniLM-L6-v2"))
        .refused(503);
    assert!(reason.contains("all-MiniLM-L6-v2"), "{reason}");
    assert!(
        server
            .post("/models/unload", &model("scripted"))
            .refused(409)
            .contains("given")
    );
    let unloaded = server
        .post("/models/unload", &model("all-MiniLM-L6-v2"))
        .ok();
    assert_eq!(unloaded["was_loaded"], false);
    server.post("/models/load", &json!({})).refused(422);
    server
        .post("/models/load", &json!({"model": 5}))
        .refused(422);
}

#[test]
fn a_pull_that_cannot_be_done_offline_fails_with_the_reason() {
    let server = TestServer::over(World::offline(), |_| {});
    let begun = server.post("/models/pull", &json!({"model": "all-MiniLM-L6-v2"}));
    assert_eq!(begun.status, 202);
    let path = format!("/jobs/{}", begun.json()["job_id"].as_str().unwrap());
    eventually("the job ends", || {
        server.get(&path).ok()["status"] == "failed"
    });
    let job = server.get(&path).ok();
    assert_eq!(
        (&job["type"], &job["bot_id"]),
        (&json!("model_pull"), &json!(null))
    );
    assert!(job["error"].as_str().unwrap().contains("offline"), "{job}");
    let listed = server.get("/jobs").ok();
    assert_eq!(listed["jobs"][0]["job_id"], job["job_id"]);
}
