//! Responses.

use longtrainer::Role;

use super::*;
use crate::fakes::{Behaviour, bitmap};

const PATH: &str = "/v1/responses";

fn asked(fields: Value) -> Value {
    with(json!({"model": "scripted", "input": "Hello"}), fields)
}

#[test]
fn a_response_has_one_message() {
    let server = TestServer::start();
    server.behave(Behaviour::Say("Hello to you.".to_owned()));
    let body = asked(
        json!({"instructions": "Be kind.", "max_output_tokens": 12, "temperature": 0.5, "metadata": {"a": "b"}}),
    );
    let answer = server.post(PATH, &body).ok();
    assert_eq!(
        (&answer["object"], &answer["status"]),
        (&json!("response"), &json!("completed"))
    );
    assert_eq!(
        (&answer["store"], &answer["metadata"]),
        (&json!(false), &json!({"a": "b"}))
    );
    assert_eq!(answer["output"].as_array().unwrap().len(), 1);
    let part =
        json!({"type": "output_text", "text": "Hello to you.", "annotations": [], "logprobs": []});
    assert_eq!(answer["output"][0]["content"], json!([part]));
    assert_eq!(
        answer["usage"]["input_tokens_details"],
        json!({"cached_tokens": 3})
    );
    assert_eq!(answer["usage"]["total_tokens"], 10);
    let request = &server.model().requests()[0];
    assert_eq!(
        (request.max_tokens, request.sampling.temperature),
        (12, 0.5)
    );
    let told: Vec<_> = request
        .messages
        .iter()
        .map(|one| (one.role, one.content.as_str()))
        .collect();
    assert_eq!(told, [(Role::System, "Be kind."), (Role::User, "Hello")]);

    server.behave(Behaviour::SayAndBeCutOff("Hello".to_owned()));
    let answer = server.post(PATH, &asked(json!({}))).ok();
    assert_eq!(answer["status"], "incomplete");
    assert_eq!(answer["incomplete_details"]["reason"], "max_output_tokens");
}

#[test]
fn items_with_pictures_and_earlier_output_are_a_conversation() {
    let server = TestServer::start();
    let hex: String = bitmap([0, 0, 255])
        .iter()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let earlier = server.post(PATH, &asked(json!({}))).ok()["output"][0].clone();
    let picture = json!({"type": "input_image", "image_url": format!("data:image/bmp,{hex}"), "detail": "high"});
    let input = json!([
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        earlier,
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And this?"}, picture]},
    ]);
    server
        .post(PATH, &asked(json!({"model": "eyes", "input": input})))
        .ok();
    let told = server.world.eyes.last_messages();
    let roles: Vec<Role> = told.iter().map(|one| one.role).collect();
    assert_eq!(
        roles,
        [Role::System, Role::User, Role::Assistant, Role::User]
    );
    assert_eq!(
        (told[2].content.as_str(), told[3].pictures.len()),
        ("an answer", 1)
    );
}

#[test]
fn a_stream_has_the_documented_events_in_order() {
    let server = TestServer::start();
    server.behave(Behaviour::Say("one two".to_owned()));
    let reply = server.post(PATH, &asked(json!({"stream": true})));
    assert_eq!(reply.content_type, "text/event-stream");
    let events: Vec<Value> = data(&reply.body)
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let names = reply
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("event: "));
    assert_eq!(names.collect::<Vec<_>>(), kinds);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    assert_eq!(
        (&events[4]["delta"], &events[6]["text"]),
        (&json!("one "), &json!("one two"))
    );
    let item = &events[8]["item"];
    assert_eq!(item, &events[9]["response"]["output"][0]);
    assert_eq!(events[4]["item_id"], item["id"]);
    assert_eq!(events[9]["response"]["id"], events[0]["response"]["id"]);

    server.behave(Behaviour::FailMidway);
    let reply = server.post(PATH, &asked(json!({"stream": true})));
    let last: Value = serde_json::from_str(data(&reply.body).last().unwrap()).unwrap();
    assert_eq!(
        (&last["type"], &last["response"]["status"]),
        (&json!("response.failed"), &json!("failed"))
    );
}

#[test]
fn a_format_is_kept_and_a_bot_tells_its_sources() {
    let server = TestServer::start();
    server.behave(Behaviour::Say("{}".to_owned()));
    let format =
        json!({"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": true});
    let answer = server
        .post(PATH, &asked(json!({"text": {"format": format}})))
        .ok();
    assert_eq!(
        answer["text"]["format"]["schema"],
        json!({"type": "object"})
    );
    assert!(server.model().requests()[0].grammar.is_some());
    let bot = server.bot(&["The lighthouse keeper is called Ingrid."]);
    let answer = server
        .post(
            PATH,
            &asked(json!({"model": bot, "instructions": "Be kind."})),
        )
        .ok();
    assert_eq!(answer["sources"].as_array().unwrap().len(), 1);
    assert!(
        server.model().last_messages()[0]
            .content
            .ends_with("Be kind.")
    );
}

#[test]
fn what_is_not_here_is_named() {
    let server = TestServer::start();
    for (param, fields) in [
        ("store", json!({"store": true})),
        (
            "previous_response_id",
            json!({"previous_response_id": "resp_1"}),
        ),
        ("conversation", json!({"conversation": "conv_1"})),
        ("background", json!({"background": true})),
        ("tools", json!({"tools": [{"type": "web_search"}]})),
        ("include", json!({"include": ["file_search_call.results"]})),
        ("truncation", json!({"truncation": "auto"})),
        ("input", json!({"input": []})),
        ("reasoning", json!({"reasoning": {"effort": "low"}})),
        ("prompt", json!({"prompt": {"id": "x"}})),
    ] {
        let error = refused(server.post(PATH, &asked(fields)), 400);
        assert_eq!(error["param"], param, "{error}");
    }
    let image = json!({"type": "input_image", "image_url": "https://example.org/a.png"});
    let input = json!([{"role": "user", "content": [image]}]);
    let error = refused(
        server.post(PATH, &asked(json!({"model": "eyes", "input": input}))),
        400,
    );
    assert_eq!(error["param"], "input[0].content[0].image_url");
}
