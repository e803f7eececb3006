//! Vision chats exist; the model that looks at pictures does not yet.

use serde_json::json;

use crate::server::TestServer;

#[test]
fn a_vision_chat_is_made_listed_read_named_and_deleted() {
    let server = TestServer::start();
    let bot = server.bot(&["Text."]);
    let made = server
        .post_nothing(&format!("/bots/{bot}/vision-chats"))
        .ok();
    let id = made["vision_chat_id"].as_str().unwrap();
    assert!(id.starts_with("vision-"), "{id}");
    assert_eq!(
        server.get(&format!("/bots/{bot}/chats")).ok()["vision_chat_ids"],
        json!([id])
    );

    let path = format!("/vision-chats/{id}");
    assert_eq!(
        server.get(&format!("{path}?order=oldest")).ok(),
        json!({"messages": []})
    );
    assert_eq!(
        server.patch(&path, &json!({"title": "Photos"})).ok()["title"],
        "Photos"
    );
    assert_eq!(
        server.delete(&path).ok(),
        json!({"status": "deleted", "vision_chat_id": id})
    );
    server.get(&path).refused(404);
}

#[test]
fn a_question_about_pictures_says_what_is_missing_and_reads_none() {
    let server = TestServer::start();
    let bot = server.bot(&["Text."]);
    let made = server
        .post_nothing(&format!("/bots/{bot}/vision-chats"))
        .ok();
    let ask = format!(
        "/bots/{bot}/vision-chats/{}",
        made["vision_chat_id"].as_str().unwrap()
    );
    let body = json!({"query": "What is this?", "image_paths": ["/etc/passwd"]});
    assert!(
        server
            .post(&ask, &body)
            .refused(503)
            .contains("no vision model is loaded")
    );
    let web = json!({"query": "?", "image_paths": [], "web_search": true});
    assert!(
        server
            .post(&ask, &web)
            .refused(501)
            .starts_with("web_search")
    );
    server.post(&ask, &json!({"query": "?"})).refused(422);
    server
        .post(&ask, &json!({"query": " ", "image_paths": []}))
        .refused(400);
}

#[test]
fn a_text_chat_is_no_vision_chat() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let bot = ask.split('/').nth(2).unwrap();
    server.get(&format!("/vision-chats/{chat}")).refused(404);
    let body = json!({"query": "?", "image_paths": []});
    server
        .post(&format!("/bots/{bot}/vision-chats/{chat}"), &body)
        .refused(404);
}
