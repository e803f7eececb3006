//! Health, and the life of a bot.

use serde_json::json;

use crate::server::TestServer;

#[test]
fn health_is_open() {
    let health = TestServer::start().get("/health").ok();
    assert_eq!(
        health,
        json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})
    );
}

#[test]
fn a_bot_is_made_built_loaded_shown_and_deleted() {
    let server = TestServer::start();
    let made = server.post_nothing("/bots").ok();
    let id = made["bot_id"].as_str().unwrap();
    assert!(id.starts_with("bot-"), "{id}");
    assert_eq!(made, json!({ "bot_id": id }));

    let file = server.file("facts.txt", "The lighthouse keeper is called Ingrid.");
    assert_eq!(server.ingest(id, &file)["status"], "success");
    let built = server.post_nothing(&format!("/bots/{id}/build")).ok();
    assert_eq!(
        (&built["status"], &built["bot_id"]),
        (&json!("ok"), &json!(id))
    );
    assert_eq!(
        (&built["documents"], &built["chunks"]),
        (&json!(1), &json!(1))
    );
    let again = server.post_nothing(&format!("/bots/{id}/build")).ok();
    assert_eq!(
        (&again["documents"], &again["already_built"]),
        (&json!(0), &json!(1))
    );

    let loaded = server.post_nothing(&format!("/bots/{id}/load")).ok();
    assert_eq!(loaded, json!({"status": "ok", "bot_id": id}));
    let shown = server.get(&format!("/bots/{id}")).ok();
    assert_eq!(shown["bot_id"], id);
    assert_eq!(server.get("/bots").ok(), json!({ "bots": [shown] }));

    let deleted = server.delete(&format!("/bots/{id}")).ok();
    assert_eq!(deleted, json!({"status": "deleted", "bot_id": id}));
    assert!(server.get(&format!("/bots/{id}")).refused(404).contains(id));
    assert!(
        server
            .delete(&format!("/bots/{id}"))
            .refused(404)
            .contains(id)
    );
    assert_eq!(server.get("/bots").ok(), json!({ "bots": [] }));
}

#[test]
fn a_build_keeps_what_it_is_not_told_to_change() {
    let server = TestServer::start();
    let bot = server.bot(&["Text."]);
    let build = format!("/bots/{bot}/build");
    let prompt = "Only this: {context}";
    let settings = json!({"prompt_template": prompt, "num_k": 2, "chunk_size": 500,
                          "chunk_overlap": 50, "agent_mode": false, "tools": []});
    server.post(&build, &settings).ok();
    server
        .post(&build, &json!({"prompt_template": null, "tools": null}))
        .ok();
    let shown = server.get(&format!("/bots/{bot}")).ok();
    assert_eq!(shown["settings"]["prompt_template"], prompt);
    assert_eq!(shown["settings"]["num_k"], 2);
    assert_eq!(
        shown["settings"]["chunking"],
        json!({"chunk_size": 500, "chunk_overlap": 50})
    );
}

#[test]
fn a_prompt_holds_from_the_next_question_on() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let bot = ask.split('/').nth(2).unwrap().to_owned();
    server
        .post(&ask, &json!({"query": "Who keeps the lighthouse?"}))
        .ok();
    let changed = server
        .put(
            &format!("/bots/{bot}/prompt"),
            &json!({"prompt_template": "Rhyme! {context}"}),
        )
        .ok();
    assert_eq!(changed, json!({"status": "ok", "bot_id": bot}));
    server.post(&ask, &json!({"query": "And now?"})).ok();
    let system = &server.model().last_messages()[0].content;
    assert!(
        system.starts_with("Rhyme! ") && system.contains("Ingrid"),
        "{system}"
    );
    assert_eq!(server.turns(&chat).len(), 2);
}

#[test]
fn settings_are_changed_one_by_one_and_taken_back() {
    let server = TestServer::start();
    let bot = server.bot(&["Text."]);
    let path = format!("/bots/{bot}");
    let patch = |body: serde_json::Value| server.patch(&path, &body).ok()["settings"].clone();
    let all = patch(json!({
        "prompt_template": "Answer from {context}.", "num_k": 7, "ensemble": true,
        "chunk_size": 500, "text_model": "scripted", "embedding_model": "words",
        "vision_model": "eyes", "keep_pictures": false
    }));
    assert_eq!((&all["num_k"], &all["ensemble"]), (&json!(7), &json!(true)));
    assert_eq!(
        all["chunking"],
        json!({"chunk_size": 500, "chunk_overlap": 200})
    );
    assert_eq!(
        (&all["text_model"], &all["keep_pictures"]),
        (&json!("scripted"), &json!(false))
    );
    let one = patch(json!({"num_k": null}));
    assert_eq!(
        (&one["num_k"], &one["ensemble"]),
        (&json!(null), &json!(true))
    );
    assert_eq!(
        patch(json!({"chunk_overlap": 10}))["chunking"]["chunk_size"],
        500
    );
    assert_eq!(
        patch(json!({"chunk_size": null, "chunk_overlap": null}))["chunking"],
        json!(null)
    );
    let before = patch(json!({}));
    for (body, part) in [
        (json!({"num_k": 0}), "num_k"),
        (json!({"chunk_size": 5, "chunk_overlap": 5}), "overlap"),
        (json!({"prompt_template": "None."}), "{context}"),
        (json!({"text_model": "/etc/passwd"}), "/etc/passwd"),
        (json!({"text_model": "../model.gguf"}), "../model.gguf"),
        (json!({"text_model": "all-MiniLM-L6-v2"}), "embedding"),
        (json!({"vision_model": "scripted"}), "scripted"),
        // Half a change is no change.
        (json!({"ensemble": false, "num_k": 5000}), "num_k"),
    ] {
        let reason = server.patch(&path, &body).refused(400);
        assert!(reason.contains(part), "{body}: {reason}");
    }
    assert_eq!(patch(json!({})), before);
}
