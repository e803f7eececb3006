//! Functions that a model may or must call.

use longtrainer::{Grammar, Role};

use super::*;
use crate::fakes::Behaviour;

fn tools() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"$ref": "#/$defs/city"}},
        "required": ["city"], "$defs": {"city": {"type": "string"}}});
    json!([
        {"type": "function", "function": {"name": "weather", "description": "Tells the weather.", "parameters": parameters}},
        {"type": "function", "function": {"name": "time", "strict": true}},
    ])
}

const CALLS: &str = "One moment.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bonn {}\"}}\n\
    </tool_call>\n<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>";

#[test]
fn calls_are_told_in_openais_form() {
    let server = TestServer::start();
    server.behave(Behaviour::Say(CALLS.to_owned()));
    let choice = post(&server, hello_with(json!({"tools": tools()})))["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], "One moment.\n");
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["type"], "function");
    assert!(calls[0]["id"].as_str().unwrap().starts_with("call_"));
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    assert_eq!(
        calls[0]["function"],
        json!({"name": "weather", "arguments": "{\"city\": \"Bonn {}\"}"})
    );
    assert_eq!(
        calls[1]["function"],
        json!({"name": "time", "arguments": "{}"})
    );

    let request = &server.model().requests()[0];
    assert_eq!(request.messages[0].tools.len(), 2);
    let Some(Grammar::Tagged(tagged)) = &request.grammar else {
        panic!("{:?}", request.grammar);
    };
    assert!(tagged.many);
    let reference = "#/$defs/tool_0/$defs/city";
    assert_eq!(
        tagged.schema["$defs"]["tool_0"]["properties"]["city"]["$ref"],
        reference
    );
}

#[test]
fn calls_are_streamed_piece_by_piece() {
    let server = TestServer::start();
    server.behave(Behaviour::Say(CALLS.to_owned()));
    let body = hello_with(json!({"tools": tools(), "stream": true, "parallel_tool_calls": false}));
    let chunks = chunks(&server.post(CHAT, &body));
    assert_eq!(said(&chunks), "One moment.\n");
    let mut calls: Vec<(String, String)> = Vec::new();
    for chunk in &chunks {
        for call in chunk["choices"][0]["delta"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let index = call["index"].as_u64().unwrap() as usize;
            if let Some(name) = call["function"]["name"].as_str() {
                assert_eq!((index, &call["type"]), (calls.len(), &json!("function")));
                calls.push((name.to_owned(), String::new()));
            }
            calls[index].1 += call["function"]["arguments"].as_str().unwrap();
        }
    }
    let expected = [("weather", "{\"city\": \"Bonn {}\"}"), ("time", "{}")];
    assert_eq!(
        calls,
        expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
    );
    assert_eq!(
        chunks.last().unwrap()["choices"][0]["finish_reason"],
        "tool_calls"
    );
    assert!(
        matches!(&server.model().requests()[0].grammar, Some(Grammar::Tagged(tagged)) if !tagged.many)
    );
}

#[test]
fn a_function_that_must_be_called_is_all_of_the_answer() {
    let server = TestServer::start();
    server.behave(Behaviour::Say(
        "{\"name\": \"time\", \"arguments\": {}}".to_owned(),
    ));
    let named = json!({"type": "function", "function": {"name": "time"}});
    for choice in [json!("required"), named] {
        let body = hello_with(json!({"tools": tools(), "tool_choice": choice}));
        let message = post(&server, body.clone())["choices"][0]["message"].clone();
        assert_eq!(message["content"], json!(null));
        assert_eq!(message["tool_calls"][0]["function"]["name"], "time");
        let streamed = chunks(&server.post(CHAT, &with(body, json!({"stream": true}))));
        assert_eq!(streamed[0]["choices"][0]["delta"]["content"], json!(null));
    }
    let requests = server.model().requests();
    let alternatives = |number: usize| match &requests[number].grammar {
        Some(Grammar::JsonSchema(schema)) => schema["anyOf"].as_array().map(Vec::len),
        other => panic!("{other:?}"),
    };
    assert_eq!((alternatives(0), alternatives(2)), (Some(2), None));
    assert_eq!(requests[2].messages[0].tools.len(), 1);
}

#[test]
fn with_no_function_to_call_marks_are_text() {
    let server = TestServer::start();
    server.behave(Behaviour::Say(CALLS.to_owned()));
    let body = hello_with(json!({"tools": tools(), "tool_choice": "none"}));
    assert_eq!(
        post(&server, body)["choices"][0]["message"]["content"],
        CALLS
    );
    assert_eq!(server.model().requests()[0].grammar, None);
}

#[test]
fn results_are_fed_back() {
    let server = TestServer::start();
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "time", "arguments": "{\"zone\": 1}"}});
    let messages = json!([
        {"role": "user", "content": "How late is it?"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Noon."},
    ]);
    post(
        &server,
        hello_with(json!({"messages": messages, "tools": tools()})),
    );
    let told = server.model().last_messages();
    assert_eq!(told[1].tool_calls[0].arguments, json!({"zone": 1}));
    assert_eq!(
        (told[2].role, told[2].content.as_str()),
        (Role::Tool, "Noon.")
    );
}

#[test]
fn tools_that_make_no_sense_are_named() {
    let server = TestServer::start();
    let function = |function: Value| json!({"tools": [{"type": "function", "function": function}]});
    for (param, fields) in [
        (
            "tools[0].function.name",
            function(json!({"name": "no spaces"})),
        ),
        (
            "tools[0].function.parameters",
            function(json!({"name": "f", "parameters": true})),
        ),
        (
            "tools[0].type",
            json!({"tools": [{"type": "custom", "custom": {}}]}),
        ),
        (
            "tools[2].function.name",
            json!({"tools": [tools()[0], tools()[1], tools()[0]]}),
        ),
        (
            "tool_choice",
            json!({"tools": tools(), "tool_choice": {"type": "function", "function": {"name": "no"}}}),
        ),
        (
            "tool_choice",
            json!({"tools": tools(), "tool_choice": "sometimes"}),
        ),
        (
            "response_format",
            json!({"tools": tools(), "response_format": {"type": "json_object"}}),
        ),
    ] {
        let error = refused(server.post(CHAT, &hello_with(fields)), 400);
        assert_eq!(error["param"], param, "{error}");
    }
}
