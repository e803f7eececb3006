//! Answers in pieces, and clients that leave.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fakes::{Behaviour, eventually};
use crate::server::{Connection, TestServer};

const EVENTS: &str = "Accept: text/event-stream\r\n";

/// The events of a stream: their names and data.
fn events(body: &str) -> Vec<(String, Value)> {
    body.split("\n\n")
        .filter(|event| event.starts_with("event: "))
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            let name = name.strip_prefix("event: ").unwrap();
            (name.to_owned(), serde_json::from_str(data).unwrap())
        })
        .collect()
}

#[test]
fn documented_clients_get_plain_chunks() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::Say("Ingrid kept it für 40 years.".to_owned()));
    let reply = server.post(&ask, &json!({"query": "Who?", "stream": true}));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.content_type, "text/plain; charset=utf-8");
    assert_eq!(reply.body, "Ingrid kept it für 40 years.");
    let turn = server.only_turn(&chat);
    assert_eq!(
        (&turn["status"], &turn["answer"]),
        (&json!("complete"), &json!(reply.body))
    );
}

#[test]
fn those_who_accept_events_get_sources_tokens_and_the_end() {
    let server = TestServer::start();
    let (ask, _) = server.chat();
    server.behave(Behaviour::Say("one\ntwo three".to_owned()));
    let headers = [
        ("Accept", "text/event-stream"),
        ("Content-Type", "application/json"),
    ];
    let reply = server.post_raw(&ask, &headers, br#"{"query": "Who?"}"#);
    assert_eq!(reply.content_type, "text/event-stream");
    let events = events(&reply.body);
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["sources", "token", "token", "usage", "done"]);
    assert_eq!(events[0].1["sources"][0]["metadata"]["source"], "text 0");
    assert_eq!(events[1].1, json!({"text": "one\ntwo "}));
    assert_eq!(events[3].1["total_tokens"], 9);
    assert_eq!(events[3].1, events[4].1["usage"]);
    assert_eq!(events[4].1["answer"], "one\ntwo three");
    assert_eq!(events[4].1["turn"], 0);
}

#[test]
fn a_failure_is_an_event() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::FailMidway);
    let headers = [
        ("Accept", "text/event-stream"),
        ("Content-Type", "application/json"),
    ];
    let reply = server.post_raw(&ask, &headers, br#"{"query": "Who?"}"#);
    let events = events(&reply.body);
    let (name, data) = events.last().unwrap();
    assert_eq!(name, "error");
    assert!(
        data["detail"].as_str().unwrap().contains("has stopped"),
        "{data}"
    );
    assert_eq!(data["status"], 500);
    assert_eq!(server.only_turn(&chat)["status"], "failed");
}

#[test]
fn a_failure_before_the_first_piece_is_a_status() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::BreakOff);
    server
        .post(&ask, &json!({"query": "Who?", "stream": true}))
        .refused(500);
    assert_eq!(server.only_turn(&chat)["status"], "failed");
}

#[test]
fn a_failure_within_plain_chunks_breaks_the_connection_off() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::FailMidway);
    let answer = server
        .ask_raw(&ask, "", &json!({"query": "Who?", "stream": true}))
        .read_to_end();
    assert!(answer.contains("half an"), "{answer}");
    assert!(
        !answer.ends_with("0\r\n\r\n"),
        "the answer looks whole: {answer}"
    );
    assert_eq!(server.only_turn(&chat)["status"], "failed");
}

/// The client goes once it has read `text`; the model must stop and the turn be kept.
#[track_caller]
fn leave_after(server: &TestServer, chat: &str, mut client: Connection, text: &str) -> Value {
    client.read_until(text);
    assert_eq!(server.model().readers_left(), 0);
    drop(client);
    eventually("the model stops", || server.model().readers_left() == 1);
    let turn = server.only_turn(chat);
    assert_eq!(turn["status"], "cancelled", "{turn}");
    turn
}

#[test]
fn a_client_that_leaves_a_plain_stream_stops_the_model() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::Ramble);
    let client = server.ask_raw(&ask, "", &json!({"query": "Who?", "stream": true}));
    let turn = leave_after(&server, &chat, client, "and");
    assert!(
        turn["answer"].as_str().unwrap().starts_with("and "),
        "{turn}"
    );
    let bot = ask.split('/').nth(2).unwrap();
    let trained = server
        .post_nothing(&format!("/bots/{bot}/train-chats"))
        .ok();
    assert_eq!(trained["turns"], 0);
}

#[test]
fn a_client_that_leaves_events_stops_the_model() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::Ramble);
    let client = server.ask_raw(&ask, EVENTS, &json!({"query": "Who?"}));
    leave_after(&server, &chat, client, "event: token");
}

#[test]
fn a_client_that_leaves_before_the_first_token_stops_the_model() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::Ponder);
    let client = server.ask_raw(&ask, EVENTS, &json!({"query": "Who?"}));
    leave_after(&server, &chat, client, "event: sources");
}

#[test]
fn a_client_that_does_not_wait_for_a_whole_answer_stops_the_model() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    server.behave(Behaviour::Ponder);
    for stream in [false, true] {
        let client = server.ask_raw(&ask, "", &json!({"query": "Who?", "stream": stream}));
        std::thread::sleep(Duration::from_millis(100));
        drop(client);
        let gone = 1 + usize::from(stream);
        eventually("the model stops", || server.model().readers_left() == gone);
        eventually("the turn is stored", || server.turns(&chat).len() == gone);
    }
    assert!(
        server
            .turns(&chat)
            .iter()
            .all(|turn| turn["status"] == "cancelled")
    );
}

#[test]
fn events_may_carry_data() {
    let server = TestServer::start();
    let (ask, _) = server.chat();
    server.behave(Behaviour::Say("{\"n\": 7}".to_owned()));
    let headers = [
        ("Accept", "text/event-stream"),
        ("Content-Type", "application/json"),
    ];
    let body = br#"{"query": "Who?", "stream": true, "schema": {"type": "object"}}"#;
    let reply = server.post_raw(&ask, &headers, body);
    let all = events(&reply.body);
    let (name, data) = all.last().unwrap();
    assert_eq!(name, "done");
    assert_eq!(data["answer"]["data"], json!({"n": 7}));

    server.behave(Behaviour::SayAndBeCutOff("{\"n\"".to_owned()));
    let reply = server.post_raw(&ask, &headers, body);
    let all = events(&reply.body);
    let (name, data) = all.last().unwrap();
    assert_eq!(name, "error");
    assert!(data["detail"].as_str().unwrap().contains("cut off"));
}
