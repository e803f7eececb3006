//! OpenAI's routes over HTTP: what all of them share, and the list of models.

mod chat;
mod completions;
mod embeddings;
mod grounded;
mod models;
mod responses;
mod tools;
mod wrong;

use serde_json::{Value, json};

use crate::server::{Reply, TestServer};

const CHAT: &str = "/v1/chat/completions";

/// A chat with the scripted model that says one thing.
fn hello() -> Value {
    json!({"model": "scripted", "messages": [{"role": "user", "content": "Hello"}]})
}

/// The same with more fields.
fn hello_with(fields: Value) -> Value {
    with(hello(), fields)
}

fn with(mut body: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The error of an answer that must have this status and OpenAI's shape.
#[track_caller]
fn refused(reply: Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.content_type, "application/json", "{reply:?}");
    let body = reply.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    let error = &body["error"];
    let names: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert_eq!(names, ["message", "type", "param", "code"], "{body}");
    assert!(!error["message"].as_str().unwrap().is_empty());
    error.clone()
}

/// The data of a stream that must end with `[DONE]`, which is left out.
#[track_caller]
fn chunks(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.content_type, "text/event-stream");
    let mut data: Vec<&str> = data(&reply.body);
    assert_eq!(data.pop(), Some("[DONE]"), "{reply:?}");
    data.into_iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn data(body: &str) -> Vec<&str> {
    body.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect()
}

/// The text of a chat's chunks.
fn said(chunks: &[Value]) -> String {
    let deltas = chunks
        .iter()
        .flat_map(|chunk| chunk["choices"].as_array().unwrap());
    deltas
        .filter_map(|choice| choice["delta"]["content"].as_str())
        .collect()
}

#[track_caller]
fn post(server: &TestServer, body: Value) -> Value {
    server.post(CHAT, &body).ok()
}
