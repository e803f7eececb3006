//! Bots as models.

use longtrainer::Role;

use super::*;
use crate::fakes::{Behaviour, bitmap};

fn server_with_bot() -> (TestServer, String) {
    let server = TestServer::start();
    let bot = server.bot(&[
        "The lighthouse keeper is called Ingrid.",
        "Bread is baked from flour and water.",
    ]);
    server.behave(Behaviour::Say("Ingrid is.".to_owned()));
    (server, bot)
}

#[test]
fn a_bot_answers_from_its_documents_with_sources() {
    let (server, bot) = server_with_bot();
    let messages = json!([
        {"role": "system", "content": "Answer like a pirate."},
        {"role": "user", "content": "Who is the lighthouse keeper?"},
        {"role": "assistant", "content": "Somebody."},
        {"role": "user", "content": "What is the keeper called?"},
    ]);
    let body = json!({"model": bot, "messages": messages, "max_tokens": 9});
    let answer = post(&server, body.clone());
    assert_eq!(answer["model"], bot);
    assert_eq!(answer["choices"][0]["message"]["content"], "Ingrid is.");
    assert_eq!(
        answer["sources"][0]["content"],
        "The lighthouse keeper is called Ingrid."
    );
    assert_eq!(answer["sources"][0]["metadata"]["source"], "text 0");
    assert_eq!(answer["history"]["included"], 1);
    assert_eq!(answer["retrieval"]["with_conversation"], true);

    let told = server.model().last_messages();
    let roles: Vec<Role> = told.iter().map(|one| one.role).collect();
    assert_eq!(
        roles,
        [Role::System, Role::User, Role::Assistant, Role::User]
    );
    assert!(
        told[0].content.ends_with("\n\nAnswer like a pirate."),
        "{told:?}"
    );
    assert!(told[3].content.contains("is called Ingrid") && told[3].content.ends_with("called?"));
    assert_eq!(server.model().requests()[0].max_tokens, 9);

    let chunks = chunks(&server.post(CHAT, &with(body, json!({"stream": true}))));
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(
        last["sources"][0]["content"],
        answer["sources"][0]["content"]
    );
    assert_eq!(last["history"], answer["history"]);
    assert!(others.iter().all(|chunk| chunk.get("sources").is_none()));
    // Nothing was stored.
    let chats = server.get(&format!("/bots/{bot}/chats")).ok();
    assert_eq!(chats["chat_ids"], json!([]));
}

#[test]
fn a_bot_is_shown_pictures_and_kept_to_a_schema() {
    let (server, bot) = server_with_bot();
    let hex: String = bitmap([0, 0, 255])
        .iter()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let picture =
        json!({"type": "image_url", "image_url": {"url": format!("data:image/bmp,{hex}")}});
    let asked =
        json!({"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]});
    post(&server, json!({"model": bot, "messages": [asked]}));
    assert_eq!(
        server
            .world
            .eyes
            .last_messages()
            .last()
            .unwrap()
            .pictures
            .len(),
        1
    );

    let format =
        json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}});
    post(
        &server,
        with(hello(), json!({"model": bot, "response_format": format})),
    );
    assert!(server.model().requests()[0].grammar.is_some());
}

#[test]
fn what_a_bot_cannot_do_is_refused() {
    let (server, bot) = server_with_bot();
    let ask = |fields: Value| server.post(CHAT, &with(hello_with(json!({"model": bot})), fields));
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(refused(ask(json!({"tools": tools})), 400)["param"], "tools");
    let ends_wrong = json!([{"role": "assistant", "content": "Hm."}]);
    assert_eq!(
        refused(ask(json!({"messages": ends_wrong})), 400)["param"],
        "messages"
    );
    let empty = json!([{"role": "user", "content": " "}]);
    assert_eq!(
        refused(ask(json!({"messages": empty})), 400)["param"],
        "messages"
    );
    for (path, body) in [
        ("/v1/embeddings", json!({"model": bot, "input": "x"})),
        ("/v1/completions", json!({"model": bot, "prompt": "x"})),
    ] {
        assert_eq!(refused(server.post(path, &body), 400)["param"], "model");
    }
    let unbuilt = server.world.trainer.initialize_bot_id().unwrap();
    refused(
        server.post(CHAT, &hello_with(json!({"model": unbuilt.as_str()}))),
        409,
    );
}
