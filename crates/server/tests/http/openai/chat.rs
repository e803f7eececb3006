//! Chat completions.

use longtrainer::{Detail, Grammar, Role};
use serde_json::json;

use super::*;
use crate::fakes::{Behaviour, bitmap, eventually};

#[test]
fn a_chat_is_answered_in_openais_form() {
    let server = TestServer::start();
    server.behave(Behaviour::Say("Hello to you.".to_owned()));
    let body = post(&server, hello());
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "scripted");
    assert!(body["created"].as_u64().unwrap() > 1_600_000_000);
    let message = json!({"role": "assistant", "content": "Hello to you.", "refusal": null});
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
    assert_eq!(body["choices"], json!([choice]));
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 3}});
    assert_eq!(body["usage"], usage);
    assert!(body.get("sources").is_none());

    server.behave(Behaviour::SayAndBeCutOff("Hello".to_owned()));
    let body = post(&server, hello());
    assert_eq!(body["choices"][0]["finish_reason"], "length");
}

#[test]
fn a_stream_has_the_role_the_text_the_reason_and_the_usage_if_asked() {
    let server = TestServer::start();
    server.behave(Behaviour::Say("one two".to_owned()));
    let chunks = chunks(&server.post(CHAT, &hello_with(json!({"stream": true}))));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(said(&chunks), "one two");
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk")
    );
    assert!(chunks.iter().all(|chunk| chunk["id"] == last["id"]));
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));

    let body = hello_with(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let chunks = super::chunks(&server.post(CHAT, &body));
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 9);
    assert_eq!(chunks[0]["usage"], json!(null));
}

#[test]
fn every_setting_reaches_the_model() {
    let server = TestServer::start();
    let body = hello_with(json!({
        "temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 11, "stop": ["END", "STOP"],
        "seed": -1, "presence_penalty": 0.25, "frequency_penalty": -0.5, "logit_bias": {"12": -100},
        "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.25, "logprobs": true, "top_logprobs": 2,
    }));
    post(&server, body);
    let request = &server.model().requests()[0];
    let sampling = &request.sampling;
    assert_eq!((sampling.temperature, sampling.top_p), (0.5, Some(0.9)));
    assert_eq!((sampling.top_k, sampling.min_p), (Some(40), Some(0.05)));
    assert_eq!(sampling.repetition_penalty, 1.25);
    assert_eq!(
        (sampling.presence_penalty, sampling.frequency_penalty),
        (0.25, -0.5)
    );
    assert_eq!(
        (sampling.seed, &sampling.logit_bias),
        (Some(u64::MAX), &vec![(12, -100.0)])
    );
    assert_eq!((request.max_tokens, request.top_logprobs), (11, Some(2)));
    assert_eq!(request.stop, ["END", "STOP"]);

    post(
        &server,
        hello_with(json!({"top_k": -1, "stop": "END", "max_tokens": 3})),
    );
    let request = &server.model().requests()[1];
    assert_eq!((request.sampling.top_k, request.max_tokens), (None, 3));
    assert_eq!(request.stop, ["END"]);
    // What is left out follows the program, and an answer may be long.
    assert_eq!(
        request.sampling.temperature,
        server.world.trainer.defaults().sampling.temperature
    );
    post(&server, hello());
    assert_eq!(
        server.model().requests()[2].max_tokens,
        longtrainer::DEFAULT_DIRECT_TOKENS
    );
}

#[test]
fn messages_of_all_roles_and_forms_reach_the_model_in_order() {
    let server = TestServer::start();
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "Yes?", "refusal": null, "annotations": [], "tool_calls": null},
        {"role": "user", "content": "Go on."},
    ]);
    post(&server, hello_with(json!({"messages": messages})));
    let told: Vec<_> = server
        .model()
        .last_messages()
        .into_iter()
        .map(|one| (one.role, one.content))
        .collect();
    let expected = [
        (Role::System, "Be brief."),
        (Role::System, "Be kind."),
        (Role::User, "Ann: One\ntwo"),
        (Role::Assistant, "Yes?"),
        (Role::User, "Go on."),
    ];
    assert_eq!(told, expected.map(|(role, text)| (role, text.to_owned())));
}

#[test]
fn log_probabilities_come_with_the_text_whole_or_streamed() {
    let server = TestServer::start();
    server.behave(Behaviour::Say("one two".to_owned()));
    let body = hello_with(json!({"logprobs": true, "top_logprobs": 1}));
    let content = post(&server, body.clone())["choices"][0]["logprobs"]["content"].clone();
    assert_eq!(content.as_array().unwrap().len(), 2);
    assert_eq!(content[0]["token"], "one ");
    assert_eq!(
        (&content[0]["logprob"], &content[0]["bytes"]),
        (&json!(-0.5), &json!([111, 110, 101, 32]))
    );
    assert_eq!(content[1]["top_logprobs"][0]["token"], "other");
    let chunks = chunks(&server.post(CHAT, &with(body, json!({"stream": true}))));
    let streamed: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array())
        .flatten()
        .cloned()
        .collect();
    assert_eq!(json!(streamed), content);
}

#[test]
fn a_schema_is_kept_and_told() {
    let server = TestServer::start();
    server.behave(Behaviour::Say("{\"n\": 1}".to_owned()));
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let format = json!({"type": "json_schema",
        "json_schema": {"name": "number", "strict": true, "schema": schema}});
    post(&server, hello_with(json!({"response_format": format})));
    let request = &server.model().requests()[0];
    assert_eq!(request.grammar, Some(Grammar::JsonSchema(schema.clone())));
    let asked = &request.messages[0].content;
    assert!(
        asked.starts_with("Hello\n") && asked.contains(&schema.to_string()),
        "{asked}"
    );

    post(
        &server,
        hello_with(json!({"response_format": {"type": "json_object"}})),
    );
    let any_object = Grammar::JsonSchema(json!({"type": "object"}));
    assert_eq!(server.model().requests()[1].grammar, Some(any_object));
    post(
        &server,
        hello_with(json!({"response_format": {"type": "text"}})),
    );
    assert_eq!(server.model().requests()[2].grammar, None);
}

fn data_url() -> String {
    let hex: String = bitmap([0, 0, 255])
        .iter()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    format!("data:image/bmp,{hex}")
}

#[test]
fn pictures_go_to_a_model_that_sees() {
    let server = TestServer::start();
    let picture = |detail: &str| json!({"type": "image_url", "image_url": {"url": data_url(), "detail": detail}});
    let text = json!({"type": "text", "text": "What is this?"});
    let messages = json!([{"role": "user", "content": [text, picture("low"), picture("auto")]}]);
    let body = json!({"model": "eyes", "messages": messages});
    post(&server, body.clone());
    let request = &server.world.eyes.requests()[0];
    assert_eq!(
        (request.messages[0].pictures.len(), request.detail),
        (2, Some(Detail::Low))
    );
    assert_eq!(request.messages[0].content, "What is this?");

    // It also answers without one.
    post(&server, with(hello(), json!({"model": "eyes"})));
    let error = refused(
        server.post(CHAT, &with(body.clone(), json!({"model": "scripted"}))),
        400,
    );
    assert_eq!(error["param"], "model");
    let mixed = json!([{"role": "user", "content": [picture("low"), picture("high")]}]);
    let error = refused(
        server.post(CHAT, &with(body.clone(), json!({"messages": mixed}))),
        400,
    );
    assert_eq!(error["param"], "detail");
    for (url, told) in [
        ("https://example.org/a.png", "data URL"),
        ("/etc/passwd", "data URL"),
        ("data:text/plain,hi", "picture 1"),
    ] {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        let messages = json!([{"role": "user", "content": [part]}]);
        let error = refused(
            server.post(CHAT, &with(body.clone(), json!({"messages": messages}))),
            400,
        );
        assert_eq!(error["param"], "messages[0].content[0].image_url");
        assert!(error["message"].as_str().unwrap().contains(told), "{error}");
    }
}

#[test]
fn a_client_that_leaves_stops_the_model_in_every_way_of_asking() {
    let server = TestServer::start();
    server.behave(Behaviour::Ramble);
    let mut client = server.ask_raw(CHAT, "", &hello_with(json!({"stream": true})));
    client.read_until("and ");
    drop(client);
    eventually("the streaming model stops", || {
        server.model().readers_left() == 1
    });

    server.behave(Behaviour::Ponder);
    for (left, stream) in [(2, false), (3, true)] {
        let client = server.ask_raw(CHAT, "", &hello_with(json!({"stream": stream})));
        eventually("the model is asked", || {
            server.model().requests().len() == left
        });
        drop(client);
        eventually("the pondering model stops", || {
            server.model().readers_left() == left
        });
    }
}

#[test]
fn an_error_within_a_stream_is_an_event_and_no_end() {
    let server = TestServer::start();
    server.behave(Behaviour::FailMidway);
    let reply = server.post(CHAT, &hello_with(json!({"stream": true})));
    let all = data(&reply.body);
    let last: Value = serde_json::from_str(all.last().unwrap()).unwrap();
    assert_eq!(last["error"]["type"], "server_error");
    assert!(
        last["error"]["message"]
            .as_str()
            .unwrap()
            .contains("has stopped")
    );
    assert!(!reply.body.contains("[DONE]"));
    refused(server.post(CHAT, &hello()), 500);
    server.behave(Behaviour::BreakOff);
    refused(server.post(CHAT, &hello()), 500);
}

#[test]
fn a_server_that_stops_ends_a_stream_with_an_error() {
    let mut server = TestServer::start();
    server.behave(Behaviour::Ramble);
    let mut client = server.ask_raw(CHAT, "", &hello_with(json!({"stream": true})));
    client.read_until("and ");
    server.tell_to_stop();
    server.tell_to_stop();
    let rest = client.read_to_end();
    assert!(rest.contains("the server is stopping"), "{rest}");
    assert!(!rest.contains("[DONE]"));
    eventually("the model stops", || server.model().readers_left() == 1);
    server.wait_for_end();
}
