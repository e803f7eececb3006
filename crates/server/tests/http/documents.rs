//! Documents: added by path, listed, searched, removed.

use serde_json::json;

use crate::fakes::World;
use crate::server::TestServer;

#[test]
fn a_file_is_read_by_a_job_and_found_after_the_build() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    let file = server.file("boats.txt", "The red boat is called Astrid.");
    let job = server.ingest(&bot, &file);
    assert_eq!(
        (&job["type"], &job["status"]),
        (&json!("document_ingest"), &json!("success"))
    );
    assert_eq!((&job["bot_id"], &job["error"]), (&json!(bot), &json!(null)));
    assert!(
        job["created_at"].is_string() && job["updated_at"].is_string(),
        "{job}"
    );

    let search = format!("/bots/{bot}/vectorstore");
    let query = json!({"query": "What is the red boat called?"});
    assert_eq!(server.post(&search, &query).ok(), json!({"documents": []}));
    server.post_nothing(&format!("/bots/{bot}/build")).ok();
    let found = server.post(&search, &query).ok();
    assert_eq!(
        found["documents"][0]["content"],
        "The red boat is called Astrid."
    );
    let source = found["documents"][0]["metadata"]["source"]
        .as_str()
        .unwrap();
    assert_eq!(source, file.canonicalize().unwrap().to_str().unwrap());
    assert!(
        found["documents"][0]["score"].as_f64().unwrap() > 0.5,
        "{found}"
    );

    let listed = server.get(&format!("/bots/{bot}/documents")).ok();
    assert_eq!(listed["documents"][0]["chunks"], 1);
    let id = listed["documents"][0]["document_id"].as_u64().unwrap();
    let removed = server.delete(&format!("/bots/{bot}/documents/{id}")).ok();
    assert_eq!(removed["chunks"], 1);
    assert_eq!(server.post(&search, &query).ok(), json!({"documents": []}));
    server
        .delete(&format!("/bots/{bot}/documents/{id}"))
        .refused(404);
}

#[test]
fn a_file_that_cannot_be_loaded_fails_its_job_with_the_reason() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    for (name, content) in [("broken.pdf", "%PDF-1.7 nothing more"), ("empty.txt", "")] {
        let job = server.ingest(&bot, &server.file(name, content));
        assert_eq!(job["status"], "failed", "{job}");
        assert!(job["error"].as_str().unwrap().contains(name), "{job}");
    }
    assert_eq!(
        server.get(&format!("/bots/{bot}/documents")).ok(),
        json!({"documents": []})
    );
}

#[test]
fn only_files_of_allowed_directories_are_read() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    let add = format!("/bots/{bot}/documents/path");
    let inside = server.file("in.txt", "in");
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("out.txt");
    std::fs::write(&outside, "out").unwrap();
    let dots = inside
        .parent()
        .unwrap()
        .join("../../../../../../../../etc/passwd");
    for path in [
        outside.as_path(),
        dots.as_path(),
        "/etc/passwd".as_ref(),
        "../x".as_ref(),
    ] {
        let reason = server.post(&add, &json!({ "path": path })).refused(403);
        assert!(reason.contains("--allow-dir"), "{reason}");
    }
    #[cfg(unix)]
    {
        let link = server.allowed.path().join("link.txt");
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        server.post(&add, &json!({ "path": link })).refused(403);
    }
    let missing = server.allowed.path().join("missing.txt");
    assert!(
        server
            .post(&add, &json!({ "path": missing }))
            .refused(400)
            .contains("missing.txt")
    );
    server
        .post(&add, &json!({ "path": server.allowed.path() }))
        .refused(400);
    assert_eq!(
        server.get(&format!("/bots/{bot}/jobs")).ok(),
        json!({"jobs": []})
    );
}

#[test]
fn without_an_allowed_directory_no_file_is_read() {
    let server = TestServer::over(World::new(), |options| options.allow_dirs.clear());
    let bot = server.bot(&[]);
    let file = server.file("in.txt", "in");
    let reason = server.post(
        &format!("/bots/{bot}/documents/path"),
        &json!({ "path": file }),
    );
    assert!(reason.refused(403).contains("--allow-dir"));
}
