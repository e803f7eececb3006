//! Requests that are wrong in themselves.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::fakes::World;
use crate::server::TestServer;

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];
const NOBODY: &str = "bot-00000000-0000-4000-8000-000000000000";
const NO_CHAT: &str = "chat-00000000-0000-4000-8000-000000000000";
const NO_VISION_CHAT: &str = "vision-00000000-0000-4000-8000-000000000000";

#[test]
fn malformed_bodies_are_refused_with_the_place_of_the_mistake() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    for (body, part) in [
        (&br#"{"query": "#[..], "line 1"),
        (b"not json", "JSON object"),
        (b"null", "JSON object"),
        (br#"["query", true, false, null, null]"#, "JSON object"),
        (b"{}", "query"),
        (b"", "query"),
        (br#"{"query": 5}"#, "query: invalid type: integer"),
        (br#"{"query": "a", "query": "b"}"#, "duplicate"),
        (br#"{"query": "a", "stream": "yes"}"#, "stream: invalid"),
        (br#"{"query": "a", "strem": true}"#, "strem"),
        (
            br#"{"query": "a", "uploaded_files": [{"name": "x"}]}"#,
            "uploaded_files[0]",
        ),
        (
            br#"{"query": "a", "uploaded_files": [{"name": "x", "type": "t", "path": "/x"}]}"#,
            "path",
        ),
        (b"{\"query\": \"\xff\"}", "unicode"),
        (b"{\"query\": \"a\"} trailing", "trailing"),
    ] {
        let reason = server.post_raw(&ask, JSON, body).refused(422);
        assert!(
            reason.contains(part),
            "{}: {reason}",
            String::from_utf8_lossy(body)
        );
    }
    assert!(server.turns(&chat).is_empty());
}

#[test]
fn a_deeply_nested_body_is_refused() {
    let server = TestServer::start();
    let (ask, _) = server.chat();
    let body = format!(r#"{{"query": "a", "schema": {}"#, "[".repeat(100_000));
    assert!(
        server
            .post_raw(&ask, JSON, body.as_bytes())
            .refused(422)
            .contains("recursion")
    );
}

#[test]
fn a_body_that_does_not_say_it_is_json_is_refused() {
    let server = TestServer::start();
    let (ask, _) = server.chat();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
    ] {
        let reply = server.post_raw(&ask, &[("Content-Type", kind)], br#"{"query": "a"}"#);
        assert!(reply.refused(415).contains(kind));
    }
    let with_charset = [("Content-Type", "Application/JSON; charset=utf-8")];
    assert_eq!(
        server
            .post_raw(&ask, &with_charset, br#"{"query": "a"}"#)
            .status,
        200
    );
}

#[test]
fn a_body_where_none_belongs_is_refused() {
    let server = TestServer::start();
    assert!(
        server
            .post("/bots", &json!({"name": "x"}))
            .refused(422)
            .contains("name")
    );
    assert!(server.world.trainer.list_bots().unwrap().is_empty());
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_client_hears_of_it() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let body = json!({"query": "x".repeat(3 << 20)}).to_string();
    let reason = server.post_raw(&ask, JSON, body.as_bytes()).refused(413);
    assert!(reason.contains("2097152"), "{reason}");
    assert!(server.turns(&chat).is_empty());
}

#[test]
fn a_refused_request_leaves_its_connection_usable() {
    let server = TestServer::start();
    let mut client = TcpStream::connect(server.address).unwrap();
    let body = json!({"query": "x".repeat(100_000)}).to_string();
    for path in [format!("/bots/{NOBODY}/vectorstore"), "/nowhere".to_owned()] {
        write!(
            client,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            server.address,
            body.len()
        )
        .unwrap();
        // A body that comes late, as from any client that sends the head first.
        std::thread::sleep(Duration::from_millis(50));
        client.write_all(body.as_bytes()).unwrap();
        let mut answer = [0; 1024];
        let read = client.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 404"), "{path}");
    }
}

#[test]
fn a_body_without_an_end_is_cut_off() {
    let server = TestServer::over(World::new(), |options| options.body_limit = 1000);
    let (ask, _) = server.chat();
    let mut client = TcpStream::connect(server.address).unwrap();
    write!(
        client,
        "POST {ask} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        server.address
    )
    .unwrap();
    let mut sent = 0;
    // The system's own buffers take some of it; a server that read on would take all.
    while sent < 200 << 20
        && client
            .write_all(&[b"4000\r\n", &[b' '; 0x4000][..], b"\r\n"].concat())
            .is_ok()
    {
        sent += 0x4000;
    }
    assert!(sent < 200 << 20, "the server read {sent} bytes");
    server.get("/health").ok();
}

#[test]
fn questions_without_text_or_with_too_much_of_it_are_refused() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    for query in ["", "   \n"] {
        assert!(
            server
                .post(&ask, &json!({"query": query}))
                .refused(400)
                .contains("empty")
        );
    }
    let too_large = json!({"query": "x".repeat((1 << 20) + 1)});
    assert!(
        server
            .post(&ask, &too_large)
            .refused(400)
            .contains("1048577 bytes")
    );
    let too_long = json!({"query": "word ".repeat(5000)});
    assert!(server.post(&ask, &too_long).refused(400).contains("tokens"));
    let bot = ask.split('/').nth(2).unwrap();
    server
        .post(&format!("/bots/{bot}/vectorstore"), &json!({"query": ""}))
        .refused(400);
    assert!(server.turns(&chat).is_empty());
}

#[test]
fn settings_out_of_range_and_unusable_prompts_change_nothing() {
    let server = TestServer::start();
    let bot = server.bot(&["Text."]);
    let build = format!("/bots/{bot}/build");
    let before = server.get(&format!("/bots/{bot}")).ok();
    for (body, part) in [
        (json!({"num_k": 0}), "num_k"),
        (json!({"chunk_size": 0}), "chunk"),
        (json!({"chunk_size": 10, "chunk_overlap": 10}), "overlap"),
        (
            json!({"prompt_template": "No place for passages."}),
            "{context}",
        ),
        (json!({"prompt_template": "{context} {stray"}), "stray"),
        (json!({"prompt_template": "{context} {name}"}), "{name}"),
    ] {
        let reason = server.post(&build, &body).refused(400);
        assert!(reason.contains(part), "{body}: {reason}");
    }
    let prompt = format!("/bots/{bot}/prompt");
    let reason = server
        .put(&prompt, &json!({"prompt_template": "Answer well."}))
        .refused(400);
    assert!(reason.contains("{context}"), "{reason}");
    server.put(&prompt, &json!({})).refused(422);
    server
        .put(&prompt, &json!({"prompt_template": null}))
        .refused(422);
    assert_eq!(server.get(&format!("/bots/{bot}")).ok(), before);
}

#[test]
fn unknown_and_malformed_ids_are_not_found_by_name() {
    let server = TestServer::start();
    let bot = server.bot(&["Text."]);
    let question = json!({"query": "?"});
    for id in [NOBODY, NO_CHAT, "bot-42", "x", "..%2f..%2fetc%2fpasswd"] {
        let named = id.replace("%2f", "/");
        for reply in [
            server.get(&format!("/bots/{id}")),
            server.delete(&format!("/bots/{id}")),
            server.post_nothing(&format!("/bots/{id}/build")),
            server.post_nothing(&format!("/bots/{id}/load")),
            server.put(
                &format!("/bots/{id}/prompt"),
                &json!({"prompt_template": "{context}"}),
            ),
            server.get(&format!("/bots/{id}/documents")),
            server.post(
                &format!("/bots/{id}/documents/path"),
                &json!({"path": "/x"}),
            ),
            server.delete(&format!("/bots/{id}/documents/1")),
            server.get(&format!("/bots/{id}/jobs")),
            server.post_nothing(&format!("/bots/{id}/chats")),
            server.get(&format!("/bots/{id}/chats")),
            server.post(&format!("/bots/{id}/chats/{NO_CHAT}"), &question),
            server.post(&format!("/bots/{id}/vectorstore"), &question),
            server.post_nothing(&format!("/bots/{id}/train-chats")),
            server.post_nothing(&format!("/bots/{id}/vision-chats")),
            server.patch(&format!("/bots/{id}"), &json!({"num_k": 3})),
            server.post_nothing(&format!("/bots/{id}/build?background=true")),
            server.post_nothing(&format!("/bots/{id}/train-chats?background=true")),
            server.post_nothing(&format!("/bots/{id}/reindex")),
            server.get(&format!("/bots/{id}/documents/1")),
            server.put(
                &format!("/bots/{id}/documents/1"),
                &json!({"page_content": "x"}),
            ),
            server.post(
                &format!("/bots/{id}/documents/link"),
                &json!({"links": ["http://8.8.8.8/"]}),
            ),
            server.get(&format!("/bots/{id}/chats/search?q=x")),
            server.get(&format!("/bots/{id}/chats/export")),
        ] {
            let reason = reply.refused(404);
            assert!(reason.contains(&named), "{id}: {reason}");
        }
    }
    // Ids of the other kind are as unknown as those that were never given out.
    for (id, vision_id) in [
        (NO_CHAT, NO_VISION_CHAT),
        ("chat-1", "vision-1"),
        (NO_VISION_CHAT, NO_CHAT),
        (bot.as_str(), bot.as_str()),
    ] {
        let pictures = json!({"query": "?", "image_paths": []});
        for (reply, id) in [
            (server.get(&format!("/chats/{id}")), id),
            (server.delete(&format!("/chats/{id}")), id),
            (
                server.patch(&format!("/chats/{id}"), &json!({"title": "t"})),
                id,
            ),
            (
                server.post(&format!("/bots/{bot}/chats/{id}"), &question),
                id,
            ),
            (server.get(&format!("/chats/{id}/export")), id),
            (
                server.get(&format!("/vision-chats/{vision_id}/export")),
                vision_id,
            ),
            (
                server.get(&format!("/vision-chats/{vision_id}/pictures/00")),
                vision_id,
            ),
            (server.get(&format!("/vision-chats/{vision_id}")), vision_id),
            (
                server.delete(&format!("/vision-chats/{vision_id}")),
                vision_id,
            ),
            (
                server.post(&format!("/bots/{bot}/vision-chats/{vision_id}"), &pictures),
                vision_id,
            ),
        ] {
            assert!(reply.refused(404).contains(id), "{id}");
        }
    }
    assert_eq!(server.world.trainer.list_bots().unwrap().len(), 1);
    server
        .delete(&format!("/bots/{bot}/documents/999"))
        .refused(404);
    server
        .delete(&format!("/bots/{bot}/documents/-1"))
        .refused(404);
    server.get("/chats/%ff").refused(404);
}

#[test]
fn an_unknown_order_is_refused() {
    let server = TestServer::start();
    let (_, chat) = server.chat();
    assert!(
        server
            .get(&format!("/chats/{chat}?order=random"))
            .refused(422)
            .contains("random")
    );
    assert!(
        server
            .get(&format!("/chats/{chat}?limit=3"))
            .refused(422)
            .contains("limit")
    );
}

#[test]
fn unknown_routes_and_wrong_methods_are_json_errors() {
    let server = TestServer::start();
    assert!(
        server
            .get("/nothing/here")
            .refused(404)
            .contains("/nothing/here")
    );
    assert!(server.get("/").refused(404).contains('/'));
    assert!(server.delete("/health").refused(405).contains("DELETE"));
    assert!(
        server
            .post_nothing(&format!("/chats/{NO_CHAT}"))
            .refused(405)
            .contains("POST")
    );
}

#[test]
fn bodies_of_every_route_are_checked() {
    let server = TestServer::start();
    let bot = server.bot(&["Text."]);
    let (_, chat) = server.chat();
    let before = server.get(&format!("/bots/{bot}")).ok();
    let json = |method: &str, path: &str, body: &[u8]| match method {
        "POST" => server.post_raw(path, JSON, body),
        _ => server.put_raw(path, JSON, body),
    };
    for (method, path) in [
        ("POST", "/bots".to_owned()),
        ("POST", format!("/bots/{bot}/build")),
        ("POST", format!("/bots/{bot}/reindex")),
        ("POST", format!("/bots/{bot}/load")),
        ("PUT", format!("/bots/{bot}/prompt")),
        ("POST", format!("/bots/{bot}/documents/path")),
        ("POST", format!("/bots/{bot}/documents/link")),
        ("PUT", format!("/bots/{bot}/documents/0")),
        ("POST", format!("/bots/{bot}/vectorstore")),
        ("POST", format!("/bots/{bot}/chats")),
        ("POST", format!("/bots/{bot}/vision-chats")),
        ("POST", format!("/bots/{bot}/train-chats")),
        ("POST", "/jobs/x/cancel".to_owned()),
        ("POST", "/models/pull".to_owned()),
        ("POST", "/models/load".to_owned()),
        ("POST", "/models/unload".to_owned()),
    ] {
        for body in [
            &b"{"[..],
            b"[]",
            b"\"x\"",
            b"{\"nobody_knows_this\": 1}",
            b"{\"\xff\": 1}",
            b"\xff\xfe",
            b"{} {}",
        ] {
            let reply = json(method, &path, body);
            assert_eq!(reply.status, 422, "{method} {path} {body:?}: {reply:?}");
            assert!(!reply.refused(422).is_empty());
        }
    }
    for body in [
        json!({"num_k": "3"}),
        json!({"num_k": -1}),
        json!({"num_k": 1.5}),
        json!({"ensemble": "yes"}),
        json!({"prompt_template": 5}),
        json!({"bot_id": "bot-x"}),
        json!({"keep_pictures": []}),
    ] {
        server.patch(&format!("/bots/{bot}"), &body).refused(422);
    }
    server
        .patch(&format!("/chats/{chat}"), &json!({"title": 5}))
        .refused(422);
    assert_eq!(server.get(&format!("/bots/{bot}")).ok(), before);
}
