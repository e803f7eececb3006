//! Lists of chats, searching in them, and chats as files.

use serde_json::{Value, json};

use crate::fakes::Behaviour;
use crate::server::TestServer;

/// A bot with three text chats and a vision chat; in the first a question was asked last.
fn with_chats(server: &TestServer) -> (String, Vec<String>) {
    let bot = server.bot(&["The lighthouse keeper is called Ingrid."]);
    let mut chats = Vec::new();
    for _ in 0..3 {
        let made = server.post_nothing(&format!("/bots/{bot}/chats")).ok();
        chats.push(made["chat_id"].as_str().unwrap().to_owned());
    }
    server.behave(Behaviour::Say("Ingrid hält Wache.".to_owned()));
    for (chat, query) in [(1, "Who keeps the LIGHTHOUSE?"), (0, "And since when?")] {
        let path = format!("/bots/{bot}/chats/{}", chats[chat]);
        server.post(&path, &json!({ "query": query })).ok();
    }
    server
        .post_nothing(&format!("/bots/{bot}/vision-chats"))
        .ok();
    (bot, chats)
}

#[test]
fn chats_are_listed_page_by_page_in_any_order() {
    let server = TestServer::start();
    let (bot, chats) = with_chats(&server);
    let ids = |query: &str| {
        let listed = server.get(&format!("/bots/{bot}/chats{query}")).ok();
        serde_json::from_value::<Vec<String>>(listed["chat_ids"].clone()).unwrap()
    };
    assert_eq!(ids(""), chats);
    assert_eq!(ids("?order=newest&limit=2"), [&*chats[2], &chats[1]]);
    assert_eq!(ids("?order=newest&limit=2&offset=2"), [&*chats[0]]);
    assert_eq!(ids("?order=recent"), [&*chats[0], &chats[1], &chats[2]]);
    assert_eq!(ids("?offset=9"), [""; 0]);
    let text = server
        .get(&format!("/bots/{bot}/chats?kind=text&limit=1"))
        .ok();
    assert_eq!(
        (&text["total"], &text["vision_total"]),
        (&json!(3), &json!(0))
    );
    let record = &text["chats"][0];
    assert_eq!(
        (&record["chat_id"], &record["turns"]),
        (&json!(chats[0]), &json!(1))
    );
    assert!(record["created_at"].is_string() && record["updated_at"].is_string());
    let vision = server.get(&format!("/bots/{bot}/chats?kind=vision")).ok();
    assert_eq!(
        (&vision["total"], &vision["vision_total"]),
        (&json!(0), &json!(1))
    );
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "offset=-1",
        "order=best",
        "kind=audio",
        "page=2",
    ] {
        server
            .get(&format!("/bots/{bot}/chats?{query}"))
            .refused(422);
    }
}

#[test]
fn turns_are_found_by_words_of_question_and_answer() {
    let server = TestServer::start();
    let (bot, chats) = with_chats(&server);
    let other = server.bot(&[]);
    let path = |query: &str| format!("/bots/{bot}/chats/search?{query}");
    let found = server.get(&path("q=lighthouse%20WACHE")).ok();
    assert_eq!(found["more"], false);
    let matches = found["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 1, "{found}");
    assert_eq!(
        (&matches[0]["chat_id"], &matches[0]["turn"]),
        (&json!(chats[1]), &json!(0))
    );
    assert_eq!(matches[0]["question"], "Who keeps the LIGHTHOUSE?");
    assert_eq!(matches[0]["kind"], "text");
    let both = server.get(&path("q=H%C3%84LT")).ok();
    assert_eq!(
        both["matches"][0]["chat_id"],
        json!(chats[0]),
        "the last used chat comes first"
    );
    assert_eq!(both["matches"].as_array().unwrap().len(), 2);
    let one = server.get(&path("q=ingrid&limit=1")).ok();
    assert_eq!(
        (one["matches"].as_array().unwrap().len(), &one["more"]),
        (1, &json!(true))
    );
    assert_eq!(server.get(&path("q=.*")).ok()["matches"], json!([]));
    let elsewhere = server
        .get(&format!("/bots/{other}/chats/search?q=ingrid"))
        .ok();
    assert_eq!(elsewhere["matches"], json!([]));
    server.get(&path("q=")).refused(400);
    server
        .get(&path(&format!("q={}", "x".repeat(1001))))
        .refused(400);
    for query in [
        "",
        "limit=3",
        "q=a&limit=0",
        "q=a&limit=201",
        "q=a&k=1",
        "q=%ff",
    ] {
        let reply = server.get(&path(query));
        assert!([400, 422].contains(&reply.status), "{query}: {reply:?}");
    }
}

#[test]
fn chats_are_exported_as_lines_and_as_a_text() {
    let server = TestServer::start();
    let (bot, chats) = with_chats(&server);
    let chat = format!("/chats/{}", chats[1]);
    server.patch(&chat, &json!({"title": "The keeper"})).ok();
    let lines = server.get(&format!("{chat}/export"));
    assert_eq!(lines.content_type, "application/jsonl");
    let line: Value = serde_json::from_str(lines.body.trim_end()).unwrap();
    assert_eq!(
        (&line["chat_id"], &line["title"]),
        (&json!(chats[1]), &json!("The keeper"))
    );
    assert_eq!(
        (&line["question"], &line["answer"]),
        (
            &json!("Who keeps the LIGHTHOUSE?"),
            &json!("Ingrid hält Wache.")
        )
    );
    let text = server.get(&format!("{chat}/export?format=markdown"));
    assert_eq!(text.content_type, "text/markdown; charset=utf-8");
    for part in [
        "# The keeper\n",
        "## 1 (",
        "> Who keeps the LIGHTHOUSE?\n",
        "\nIngrid hält Wache.\n",
        "- text 0\n",
    ] {
        assert!(text.body.contains(part), "{part:?} is not in {}", text.body);
    }
    let all = server.get(&format!("/bots/{bot}/chats/export"));
    assert_eq!(all.body.lines().count(), 2, "{}", all.body);
    let listed = server.get(&format!("/bots/{bot}/chats")).ok();
    let vision = listed["vision_chat_ids"][0].as_str().unwrap();
    let empty = server.get(&format!("/vision-chats/{vision}/export"));
    assert_eq!((empty.status, &*empty.body), (200, ""));
    server
        .get(&format!("{chat}/export?format=pdf"))
        .refused(422);
    server
        .get(&format!("/vision-chats/{vision}/export?x=1"))
        .refused(422);
    server
        .get("/chats/chat-00000000-0000-4000-8000-000000000000/export")
        .refused(404);
    server
        .get(&format!("/vision-chats/{vision}/pictures/00"))
        .refused(404);
}

#[test]
fn a_long_chat_is_exported_whole() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    for number in 0..70 {
        server
            .post(&ask, &json!({"query": format!("Question {number}?")}))
            .ok();
    }
    let lines = server.get(&format!("/chats/{chat}/export")).body;
    let questions: Vec<_> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["turn"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(questions, (0..70).collect::<Vec<_>>());
}
