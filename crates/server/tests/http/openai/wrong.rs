//! What is refused, in OpenAI's shape and by name.

use super::*;
use crate::fakes::World;

/// The fields that an answer must name, and what is sent for them.
fn wrong_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("n", json!({"n": 2})),
        ("store", json!({"store": true})),
        ("service_tier", json!({"service_tier": "priority"})),
        ("modalities", json!({"modalities": ["text", "audio"]})),
        ("temperatur", json!({"temperatur": 1})),
        ("reasoning_effort", json!({"reasoning_effort": "high"})),
        ("audio", json!({"audio": {"voice": "x"}})),
        ("web_search_options", json!({"web_search_options": {}})),
        ("temperature", json!({"temperature": "hot"})),
        ("logit_bias", json!({"logit_bias": {"word": 1}})),
        ("top_logprobs", json!({"top_logprobs": 2})),
        (
            "stream_options",
            json!({"stream_options": {"include_usage": true}}),
        ),
        (
            "max_completion_tokens",
            json!({"max_tokens": 1, "max_completion_tokens": 2}),
        ),
        ("tool_choice", json!({"tool_choice": "required"})),
        ("messages", json!({"messages": []})),
        (
            "messages[0].content",
            json!({"messages": [{"role": "user"}]}),
        ),
        (
            "messages[0].role",
            json!({"messages": [{"role": "wizard", "content": "x"}]}),
        ),
        (
            "messages[0].mood",
            json!({"messages": [{"role": "user", "content": "x", "mood": "sad"}]}),
        ),
        (
            "messages[0].tool_call_id",
            json!({"messages": [{"role": "tool", "content": "x", "tool_call_id": "no"}]}),
        ),
        (
            "messages[0].content[0].type",
            json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
        ),
        (
            "messages[0].content[0].text",
            json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
        ),
    ]
}

#[test]
fn a_field_that_cannot_be_honoured_is_named() {
    let server = TestServer::start();
    for (param, fields) in wrong_fields() {
        let error = refused(server.post(CHAT, &hello_with(fields.clone())), 400);
        assert_eq!(error["param"], param, "{fields}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    assert!(server.model().requests().is_empty());
}

#[test]
fn harmless_fields_and_nulls_change_nothing() {
    let server = TestServer::start();
    let harmless = json!({"user": "me", "metadata": {"a": "b"}, "store": false, "n": 1,
        "service_tier": "auto", "safety_identifier": "x", "prompt_cache_key": "y",
        "modalities": ["text"], "tools": null, "tool_choice": null, "stop": null, "seed": null,
        "response_format": null, "stream": null});
    post(&server, hello_with(harmless));
    post(&server, hello());
    let requests = server.model().requests();
    assert_eq!(requests[0], requests[1]);
}

#[test]
fn an_unknown_model_is_not_found_and_a_path_is_no_model() {
    let server = TestServer::start();
    let file = server.file("model.gguf", "GGUF");
    let path = file.display().to_string();
    for model in [
        "gpt-4o",
        "",
        &path,
        "/etc/passwd",
        "bot-1",
        "bot-00000000-0000-4000-8000-000000000000",
    ] {
        let error = refused(server.post(CHAT, &hello_with(json!({"model": model}))), 404);
        assert_eq!(
            (&error["param"], &error["code"]),
            (&json!("model"), &json!("model_not_found"))
        );
    }
    let error = refused(
        server.post(CHAT, &hello_with(json!({"model": "words"}))),
        400,
    );
    assert!(
        error["message"].as_str().unwrap().contains("embedding"),
        "{error}"
    );
    refused(server.post(CHAT, &json!({"messages": []})), 400);
}

#[test]
fn every_error_under_v1_has_openais_shape() {
    let server = TestServer::over(World::new(), |options| {
        options.body_limit = 500;
        options.picture_body_limit = 1000;
    });
    refused(server.get("/v1/nowhere"), 404);
    refused(server.get("/v1"), 404);
    refused(server.get(CHAT), 405);
    refused(
        server.get_with("/v1/models", &[("Origin", "https://evil.example")]),
        403,
    );
    let json = [("Content-Type", "application/json")];
    refused(server.post_raw(CHAT, &json, b"{\"model\": "), 400);
    refused(server.post_raw(CHAT, &json, b"[1]"), 400);
    refused(server.post_raw(CHAT, &json, b"\xff\xfe"), 400);
    refused(
        server.post_raw(CHAT, &[("Content-Type", "text/plain")], b"{}"),
        415,
    );
    refused(server.post_nothing(CHAT), 400);
    // Bodies with pictures may be larger than others.
    let long = |length| json!({"model": "scripted", "messages": [{"role": "user", "content": "x".repeat(length)}]});
    server.post(CHAT, &long(700)).ok();
    refused(server.post(CHAT, &long(1200)), 413);
    refused(
        server.post(
            "/v1/embeddings",
            &json!({"model": "words", "input": "x".repeat(700)}),
        ),
        413,
    );
    // And elsewhere errors stay as they were.
    server.get("/nowhere").refused(404);
}
