//! The description of the interface: valid, of all routes, and true.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::fakes::Behaviour;
use crate::server::TestServer;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn document(server: &TestServer) -> Value {
    server.get("/openapi.json").ok()
}

/// Every operation: its path, its method and what is told about it.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, told)| {
                assert!(METHODS.contains(&method.as_str()), "{method} {path}");
                (path.as_str(), method.as_str(), told)
            })
        })
        .collect()
}

/// Every `$ref` of a document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                found.push(reference.clone());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_is_valid() {
    let server = TestServer::start();
    let reply = server.get("/openapi.json");
    let spec = oas3::from_json(&reply.body).unwrap();
    assert!(spec.validate_version().is_ok());
    let document = reply.json();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_operation_is_told_whole() {
    let server = TestServer::start();
    let document = document(&server);
    let tags: HashSet<_> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    let mut ids = HashSet::new();
    for (path, method, told) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(
            told["summary"].as_str().is_some_and(|it| it.len() > 5),
            "{name}"
        );
        assert!(
            ids.insert(told["operationId"].as_str().unwrap()),
            "{name}: an id twice"
        );
        assert!(tags.contains(&told["tags"][0]), "{name}");
        assert!(told["responses"]["default"].is_object(), "{name}");
        let responses = told["responses"].as_object().unwrap();
        let does_something = responses.keys().any(|status| status.starts_with('2'));
        assert!(does_something || responses.contains_key("501"), "{name}");
        let none = Vec::new();
        let parameters = told["parameters"].as_array().unwrap_or(&none);
        let in_path: Vec<_> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let in_template: Vec<_> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(in_path, in_template, "{name}");
    }
}

#[test]
fn every_described_operation_is_a_route() {
    let server = TestServer::start();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    for (path, method, _) in operations(&document(&server)) {
        // What no id can be.
        let path = path.replace("{document_id}", "0").replace(['{', '}'], "~");
        let request = ureq::http::Request::builder()
            .method(method.to_uppercase().as_str())
            .uri(server.url(&path))
            .body("")
            .unwrap();
        let mut response = agent.run(request).unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        assert_ne!(response.status(), 405, "{method} {path}: {body}");
        assert!(
            !body.contains("there is no route"),
            "{method} {path}: {body}"
        );
    }
}

/// A handler becomes a route together with its description, or not at all: `route` takes one
/// without. This lists where that is done.
#[test]
fn no_route_lacks_a_description() {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                read += 1;
                let source = std::fs::read_to_string(&path).unwrap();
                for (number, line) in source.lines().enumerate() {
                    let adds = [".route(", ".route_service(", ".nest_service("];
                    if adds.iter().any(|call| line.contains(call)) {
                        found.push(format!("{}:{}", path.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(read > 20, "{read} files");
    assert!(found.is_empty(), "routes without a description: {found:#?}");
}

/// Checks an answer against the schema that the document has for it.
#[track_caller]
fn check(document: &Value, method: &str, path: &str, status: &str, body: &Value) {
    let pointer = [
        "paths",
        path,
        method,
        "responses",
        status,
        "content",
        "application/json",
        "schema",
    ];
    let schema = pointer.iter().fold(document, |at, key| &at[*key]);
    assert!(
        schema.is_object(),
        "{method} {path} {status} is not described"
    );
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(body)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{method} {path}: {errors:#?}\n{body:#}");
}

#[test]
fn answers_are_what_the_document_says() {
    let server = TestServer::start();
    let document = document(&server);
    let (ask, chat) = server.chat();
    let bot = ask.split('/').nth(2).unwrap().to_owned();
    let job = server.ingest(&bot, &server.file("a.txt", "some text"));
    check(&document, "get", "/jobs/{job_id}", "200", &job);
    let question = json!({"query": "who keeps the lighthouse?"});
    let asked = server.post(&ask, &question).ok();
    check(
        &document,
        "post",
        "/bots/{bot_id}/chats/{chat_id}",
        "200",
        &asked,
    );
    for said in ["{\"keeper\": \"Ingrid\"}", "no data at all"] {
        server.behave(Behaviour::Say(said.to_owned()));
        let question = json!({"query": "who?", "schema": {"type": "object"}});
        let data = server.post(&ask, &question).ok();
        check(
            &document,
            "post",
            "/bots/{bot_id}/chats/{chat_id}",
            "200",
            &data,
        );
    }
    let made = server
        .post_nothing(&format!("/bots/{bot}/vision-chats"))
        .ok();
    check(
        &document,
        "post",
        "/bots/{bot_id}/vision-chats",
        "200",
        &made,
    );
    let of_bot = |end: &str| format!("/bots/{bot}{end}");
    for (template, path) in [
        ("/health", "/health".to_owned()),
        ("/ready", "/ready".to_owned()),
        ("/bots", "/bots".to_owned()),
        ("/bots/{bot_id}", of_bot("")),
        ("/bots/{bot_id}/documents", of_bot("/documents")),
        ("/bots/{bot_id}/jobs", of_bot("/jobs")),
        ("/bots/{bot_id}/chats", of_bot("/chats")),
        ("/chats/{chat_id}", format!("/chats/{chat}")),
    ] {
        check(&document, "get", template, "200", &server.get(&path).ok());
    }
    let search = of_bot("/vectorstore");
    let found = server.post(&search, &json!({"query": "lighthouse"})).ok();
    check(
        &document,
        "post",
        "/bots/{bot_id}/vectorstore",
        "200",
        &found,
    );
    let built = server.post(&of_bot("/build"), &json!({})).ok();
    check(&document, "post", "/bots/{bot_id}/build", "200", &built);
    let trained = server.post(&of_bot("/train-chats"), &json!({})).ok();
    check(
        &document,
        "post",
        "/bots/{bot_id}/train-chats",
        "200",
        &trained,
    );
    let unknown = server.get("/bots/bot-6a9f0c3e-0000-4000-8000-000000000000");
    assert_eq!(unknown.status, 404);
    check(&document, "get", "/bots/{bot_id}", "404", &unknown.json());
    let renamed = server
        .patch(&format!("/chats/{chat}"), &json!({"title": null}))
        .ok();
    check(&document, "patch", "/chats/{chat_id}", "200", &renamed);
    let deleted = server.delete(&of_bot("")).ok();
    check(&document, "delete", "/bots/{bot_id}", "200", &deleted);
}

#[test]
fn answers_about_jobs_models_and_chats_are_what_the_document_says() {
    let server = TestServer::start();
    let document = document(&server);
    let (ask, chat) = server.chat();
    server.post(&ask, &json!({"query": "who?"})).ok();
    let bot = ask.split('/').nth(2).unwrap().to_owned();
    let of_bot = |end: &str| format!("/bots/{bot}{end}");
    let job = server.ingest(&bot, &server.file("a.txt", "some text"));
    let documents = server.get(&of_bot("/documents")).ok();
    let id = &documents["documents"][0]["document_id"];
    for (template, path) in [
        ("/jobs", "/jobs?status=success".to_owned()),
        ("/models", "/models".to_owned()),
        (
            "/bots/{bot_id}/documents/{document_id}",
            of_bot(&format!("/documents/{id}")),
        ),
        (
            "/bots/{bot_id}/chats/search",
            of_bot("/chats/search?q=who&limit=3"),
        ),
    ] {
        check(&document, "get", template, "200", &server.get(&path).ok());
    }
    let ended = server.delete(&format!("/jobs/{}", job["job_id"].as_str().unwrap()));
    assert_eq!(ended.status, 409);
    check(&document, "delete", "/jobs/{job_id}", "409", &ended.json());
    let patched = server.patch(&of_bot(""), &json!({"num_k": 2, "ensemble": null}));
    check(&document, "patch", "/bots/{bot_id}", "200", &patched.ok());
    for (template, path, body, status) in [
        (
            "/bots/{bot_id}/reindex",
            of_bot("/reindex"),
            json!({}),
            "202",
        ),
        (
            "/bots/{bot_id}/build",
            of_bot("/build?background=true"),
            json!({}),
            "202",
        ),
        (
            "/models/load",
            "/models/load".to_owned(),
            json!({"model": "words"}),
            "200",
        ),
        (
            "/models/load",
            "/models/load".to_owned(),
            json!({"model": "none"}),
            "404",
        ),
    ] {
        let reply = server.post(&path, &body);
        assert_eq!(reply.status.to_string(), status, "{path}: {reply:?}");
        check(&document, "post", template, status, &reply.json());
    }
    let replaced = server.put(
        &of_bot(&format!("/documents/{id}")),
        &json!({"page_content": "another text"}),
    );
    let template = "/bots/{bot_id}/documents/{document_id}";
    check(&document, "put", template, "200", &replaced.ok());
    let exported = server.get(&format!("/chats/{chat}/export"));
    let told = &document["paths"]["/chats/{chat_id}/export"]["get"]["responses"]["200"];
    assert!(
        told["content"][&exported.content_type].is_object(),
        "{exported:?}"
    );
}

#[test]
fn openais_answers_are_what_the_document_says() {
    let server = TestServer::start();
    let document = document(&server);
    let bot = server.bot(&["The keeper is Ingrid."]);
    let listed = server.get("/v1/models").ok();
    check(&document, "get", "/v1/models", "200", &listed);
    let shown = server.get(&format!("/v1/models/{bot}")).ok();
    check(&document, "get", "/v1/models/{model}", "200", &shown);
    let messages = json!([{"role": "user", "content": "Who?"}]);
    for (path, body) in [
        (
            "/v1/chat/completions",
            json!({"model": "scripted", "messages": messages}),
        ),
        (
            "/v1/chat/completions",
            json!({"model": bot, "messages": messages}),
        ),
        (
            "/v1/completions",
            json!({"model": "scripted", "prompt": ["a", "b"]}),
        ),
        ("/v1/responses", json!({"model": bot, "input": "Who?"})),
        ("/v1/embeddings", json!({"model": "words", "input": "a"})),
        (
            "/v1/embeddings",
            json!({"model": "words", "input": "a", "encoding_format": "base64"}),
        ),
    ] {
        let operation = &document["paths"][path]["post"];
        let mut schema = operation["requestBody"]["content"]["application/json"]["schema"].clone();
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(&body), "{path}: {body}");
        assert!(!validator.is_valid(&json!({})), "{path}");
        let answer = server.post(path, &body).ok();
        check(&document, "post", path, "200", &answer);
        for (body, status) in [
            (json!({}), "400"),
            (body_with(&body, "model", "none"), "404"),
        ] {
            let refused = server.post(path, &body);
            assert_eq!(refused.status.to_string(), status, "{path}: {refused:?}");
            check(&document, "post", path, status, &refused.json());
        }
    }
}

fn body_with(body: &Value, field: &str, value: &str) -> Value {
    let mut body = body.clone();
    body[field] = value.into();
    body
}

#[test]
fn a_body_that_the_document_forbids_is_refused() {
    let server = TestServer::start();
    let document = document(&server);
    let (ask, _) = server.chat();
    let body = &document["paths"]["/bots/{bot_id}/chats/{chat_id}"]["post"]["requestBody"];
    let mut schema = body["content"]["application/json"]["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (body, holds) in [
        (json!({"query": "?"}), true),
        (json!({"query": "?", "stream": false, "schema": null}), true),
        (json!({}), false),
        (json!({"query": 1}), false),
        (json!({"query": "?", "qury": "?"}), false),
    ] {
        assert_eq!(validator.is_valid(&body), holds, "{body}");
        let status = server.post(&ask, &body).status;
        assert_eq!(status, if holds { 200 } else { 422 }, "{body}");
    }
}
