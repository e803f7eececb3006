//! Text chats: whole answers, records, names.

use serde_json::{Value, json};

use crate::fakes::Behaviour;
use crate::server::TestServer;

#[test]
fn a_question_is_answered_with_sources_usage_and_history() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::Say("Ingrid keeps it.".to_owned()));
    let answer = server
        .post(&ask, &json!({"query": "Who keeps the lighthouse?"}))
        .ok();
    assert_eq!(answer["answer"], "Ingrid keeps it.");
    assert_eq!(answer["web_sources"], json!([]));
    assert_eq!(answer["history"], json!({"included": 0, "left_out": 0}));
    assert_eq!(
        (&answer["turn"], &answer["finish_reason"]),
        (&json!(0), &json!("stop"))
    );
    assert_eq!(answer["usage"]["total_tokens"], 10);
    let source = &answer["sources"][0];
    assert_eq!(source["content"], "The lighthouse keeper is called Ingrid.");
    assert_eq!(source["metadata"]["source"], "text 0");
    assert!(source["score"].as_f64().unwrap() > 0.3, "{source}");

    let second = server.post(&ask, &json!({"query": "Since when?"})).ok();
    assert_eq!(second["history"]["included"], 1);
    assert_eq!(server.turns(&chat).len(), 2);
}

#[test]
fn messages_have_the_documented_fields_in_the_order_asked_for() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let file = json!({"name": "a.txt", "type": "text/plain", "url": null, "extracted_text": "x"});
    server
        .post(&ask, &json!({"query": "first", "uploaded_files": [file]}))
        .ok();
    server
        .post(
            &ask,
            &json!({"query": "second", "uploaded_files": null, "schema": null}),
        )
        .ok();
    let asked_with = server.model().last_messages();
    assert!(
        asked_with[1].content.contains("Extracted Text: x"),
        "{asked_with:?}"
    );

    let newest = server.get(&format!("/chats/{chat}")).ok();
    let message = &newest["messages"][1];
    assert_eq!(message["bot_id"], ask.split('/').nth(2).unwrap());
    assert_eq!(message["chat_id"], chat.as_str());
    assert_eq!(message["question"], "first");
    assert_eq!(message["answer"], "an answer");
    assert_eq!(message["web_sources"], json!([]));
    assert_eq!(message["uploaded_files"], json!([file]));
    assert_eq!(message["trained"], false);
    assert_eq!(
        (&message["turn"], &message["status"]),
        (&json!(0), &json!("complete"))
    );
    assert_eq!(message["sources"][0]["source"], "text 0");
    assert!(
        message["timestamp"].as_str().unwrap().ends_with('Z'),
        "{message}"
    );

    let questions = |order: &str| -> Vec<_> {
        let body = server.get(&format!("/chats/{chat}?order={order}")).ok();
        body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["question"].clone())
            .collect()
    };
    assert_eq!(questions("newest"), ["second", "first"]);
    assert_eq!(questions("oldest"), ["first", "second"]);
}

#[test]
fn a_chat_exists_from_the_start_and_can_be_named_and_deleted() {
    let server = TestServer::start();
    let bot = server.bot(&["Text."]);
    let made = server.post_nothing(&format!("/bots/{bot}/chats")).ok();
    let chat = made["chat_id"].as_str().unwrap();
    assert_eq!(
        server.get(&format!("/chats/{chat}")).ok(),
        json!({"messages": []})
    );
    let listed = server.get(&format!("/bots/{bot}/chats")).ok();
    assert_eq!(listed["chat_ids"], json!([chat]));
    assert_eq!(listed["vision_chat_ids"], json!([]));
    assert_eq!(listed["chats"][0]["title"], json!(null));

    let path = format!("/chats/{chat}");
    assert_eq!(
        server.patch(&path, &json!({"title": "Mine"})).ok()["title"],
        "Mine"
    );
    assert_eq!(
        server.get(&format!("/bots/{bot}/chats")).ok()["chats"][0]["title"],
        "Mine"
    );
    assert_eq!(
        server.patch(&path, &json!({"title": null})).ok()["title"],
        json!(null)
    );
    server.patch(&path, &json!({})).refused(422);

    assert_eq!(
        server.delete(&path).ok(),
        json!({"status": "deleted", "chat_id": chat})
    );
    assert!(server.get(&path).refused(404).contains(chat));
}

#[test]
fn another_bots_chat_is_unknown() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let other = server.bot(&["Other text."]);
    let reason = server.post(
        &format!("/bots/{other}/chats/{chat}"),
        &json!({"query": "?"}),
    );
    assert!(reason.refused(404).contains(&chat));
    server.post(&ask, &json!({"query": "?"})).ok();
}

#[test]
fn a_failed_answer_is_an_error_with_its_reason_and_a_failed_turn_that_is_never_trained_on() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::FailMidway);
    let reason = server.post(&ask, &json!({"query": "Who?"})).refused(500);
    assert!(
        reason.contains("engine of model \"scripted\" has stopped"),
        "{reason}"
    );
    let turn = server.only_turn(&chat);
    assert_eq!(
        (&turn["status"], &turn["answer"]),
        (&json!("failed"), &json!("half an"))
    );
    assert!(
        turn["error"].as_str().unwrap().contains("has stopped"),
        "{turn}"
    );

    let bot = ask.split('/').nth(2).unwrap();
    let trained = server
        .post_nothing(&format!("/bots/{bot}/train-chats"))
        .ok();
    assert_eq!(trained["message"], "No new chats found for training.");
    assert_eq!(trained["csv_path"], json!(null));
}

#[test]
fn an_engine_that_just_ends_is_a_failure_too() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::BreakOff);
    assert!(
        server
            .post(&ask, &json!({"query": "Who?"}))
            .refused(500)
            .contains("broke off")
    );
    assert_eq!(server.only_turn(&chat)["status"], "failed");
}

#[test]
fn a_bot_that_was_never_built_does_not_answer() {
    let server = TestServer::start();
    let bot = server.post_nothing("/bots").ok()["bot_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let made = server.post_nothing(&format!("/bots/{bot}/chats")).ok();
    let chat = made["chat_id"].as_str().unwrap();
    let reason = server.post(&format!("/bots/{bot}/chats/{chat}"), &json!({"query": "?"}));
    assert!(reason.refused(409).contains("has not been built"));
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"keeper": {"type": "string"}}, "required": ["keeper"]})
}

#[test]
fn a_schema_makes_the_answer_data_in_the_documented_form() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::Say("{\"keeper\": \"Ingrid\"}".to_owned()));
    let body = json!({"query": "Who?", "schema": schema()});
    let answer = server.post(&ask, &body).ok();
    let expected = json!({"status": "success", "data": {"keeper": "Ingrid"},
                          "raw_llm_output": null, "error": null});
    assert_eq!(answer["answer"], expected);
    assert_eq!(answer["web_sources"], json!([]));
    assert_eq!(answer["turn"], 0);
    assert_eq!(
        server.only_turn(&chat)["answer"],
        "{\"keeper\": \"Ingrid\"}",
        "stored as JSON"
    );
}

#[test]
fn an_answer_that_is_no_data_is_told_in_the_documented_form_and_is_a_failed_turn() {
    for (behaviour, raw, why) in [
        (
            Behaviour::SayAndBeCutOff("{\"kee".to_owned()),
            "{\"kee",
            "cut off",
        ),
        (
            Behaviour::Say("Ingrid.".to_owned()),
            "Ingrid.",
            "not what the schema",
        ),
    ] {
        let server = TestServer::start();
        let (ask, chat) = server.chat();
        server.behave(behaviour);
        let body = json!({"query": "Who?", "schema": schema()});
        let answer = server.post(&ask, &body).ok();
        let answer_of = &answer["answer"];
        assert_eq!(answer_of["status"], "partial_success", "{answer}");
        assert_eq!(answer_of["data"], json!(null));
        assert_eq!(answer_of["raw_llm_output"], raw);
        assert!(
            answer_of["error"].as_str().unwrap().contains(why),
            "{answer}"
        );
        assert_eq!(server.only_turn(&chat)["status"], "failed");
    }
}

#[test]
fn what_cannot_be_a_schema_is_refused() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let reason = server.post(&ask, &json!({"query": "Who?", "schema": ["keeper"]}));
    assert!(reason.refused(400).contains("it is an array"));
    let streamed = json!({"query": "Who?", "schema": schema(), "stream": true});
    assert!(
        server
            .post(&ask, &streamed)
            .refused(422)
            .contains("event-stream")
    );
    assert!(server.turns(&chat).is_empty());
}

#[test]
fn a_bot_with_the_ensemble_tells_what_was_searched_for() {
    let server = TestServer::start();
    let (ask, _) = server.chat();
    let bot = ask.split('/').nth(2).unwrap().to_owned();
    let built = json!({"ensemble": true});
    server.post(&format!("/bots/{bot}/build"), &built).ok();
    server.behave(Behaviour::Say("1. Who tends the light?".to_owned()));
    let found = server
        .post(
            &format!("/bots/{bot}/vectorstore"),
            &json!({"query": "Who?"}),
        )
        .ok();
    assert_eq!(
        found["retrieval"]["phrasings"],
        json!(["Who tends the light?"])
    );
    let answer = server.post(&ask, &json!({"query": "Who?"})).ok();
    assert_eq!(
        answer["retrieval"],
        json!({"phrasings": ["Who tends the light?"], "with_conversation": false})
    );
}
