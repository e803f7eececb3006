//! What is documented but not in this version is refused by name, never dropped.

use serde_json::json;

use crate::server::TestServer;

#[test]
fn a_route_that_searches_the_web_says_why_it_does_nothing() {
    let server = TestServer::start();
    let bot = server.bot(&[]);
    let query = server.post(
        &format!("/bots/{bot}/documents/query"),
        &json!({"search_query": "x"}),
    );
    assert!(query.refused(501).contains("documents/query"));
}

#[test]
fn fields_that_are_not_honoured_are_named() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let bot = ask.split('/').nth(2).unwrap().to_owned();
    let build = format!("/bots/{bot}/build");
    let path = server.file("a.txt", "a");
    let schema = json!({"type": "object"});
    for (route, body, field) in [
        (
            &ask,
            json!({"query": "?", "web_search": true}),
            "web_search",
        ),
        (&build, json!({"agent_mode": true}), "agent_mode"),
        (&build, json!({"tools": ["web_search"]}), "tools"),
        (
            &format!("/bots/{bot}/documents/path"),
            json!({"path": path, "use_unstructured": true}),
            "use_unstructured",
        ),
    ] {
        let reason = server.post(route, &body).refused(501);
        assert!(reason.starts_with(field), "{reason}");
    }
    let both = json!({"query": "?", "schema": schema, "stream": true});
    server.post(&ask, &both).refused(422);
    assert!(server.turns(&chat).is_empty());
}
