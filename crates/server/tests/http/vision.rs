//! Vision chats over HTTP.

use serde_json::{Value, json};

use crate::fakes::{Behaviour, World, bitmap};
use crate::server::TestServer;

const RED: [u8; 3] = [0, 0, 255];
const BLUE: [u8; 3] = [255, 0, 0];

/// A server with a bot that knows one text, and a vision chat with it.
struct Gallery {
    server: TestServer,
    bot: String,
    chat: String,
}

impl Gallery {
    fn new() -> Self {
        Self::of(TestServer::start())
    }

    fn of(server: TestServer) -> Self {
        let bot = server.bot(&["The lighthouse keeper is called Ingrid."]);
        let made = server
            .post_nothing(&format!("/bots/{bot}/vision-chats"))
            .ok();
        let chat = made["vision_chat_id"].as_str().unwrap().to_owned();
        Self { server, bot, chat }
    }

    fn ask_path(&self) -> String {
        format!("/bots/{}/vision-chats/{}", self.bot, self.chat)
    }

    fn ask(&self, body: &Value) -> crate::server::Reply {
        self.server.post(&self.ask_path(), body)
    }

    /// A picture in the directory that the server may read: its path.
    fn picture(&self, name: &str, colour: [u8; 3]) -> String {
        let path = self
            .server
            .allowed
            .path()
            .canonicalize()
            .unwrap()
            .join(name);
        std::fs::write(&path, bitmap(colour)).unwrap();
        path.display().to_string()
    }

    /// The turns, oldest first.
    fn turns(&self) -> Vec<Value> {
        let path = format!("/vision-chats/{}?order=oldest", self.chat);
        self.server.get(&path).ok()["messages"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// The numbers of pictures of each message of the last prompt.
    fn shown(&self) -> Vec<usize> {
        let messages = self.server.world.eyes.last_messages();
        messages.iter().map(|one| one.pictures.len()).collect()
    }
}

fn data_url(colour: [u8; 3]) -> String {
    let hex: String = bitmap(colour)
        .iter()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    format!("data:image/bmp,{hex}")
}

#[test]
fn the_documented_flow() {
    let gallery = Gallery::new();
    let eyes = &gallery.server.world.eyes;
    eyes.behave(Behaviour::Say("A lighthouse.".to_owned()));
    let paths = [
        gallery.picture("a.bmp", RED),
        gallery.picture("b.bmp", BLUE),
    ];
    let answer = gallery
        .ask(&json!({"query": "What is this?", "image_paths": paths, "detail": "high"}))
        .ok();
    assert_eq!(answer["response"], "A lighthouse.");
    assert_eq!(answer["web_sources"], json!([]));
    assert_eq!(answer["sources"].as_array().unwrap().len(), 1);
    assert_eq!(answer["turn"], 0);
    assert_eq!(gallery.shown(), [0, 2]);
    assert_eq!(eyes.requests()[0].detail, Some(longtrainer::Detail::High));

    let answer = gallery
        .ask(&json!({"query": "And the second one?", "image_paths": []}))
        .ok();
    assert_eq!(gallery.shown(), [0, 2, 0, 0]);
    assert_eq!(answer["history"]["pictures"], 2);

    let turns = gallery.turns();
    assert_eq!(turns.len(), 2);
    assert_eq!(turns[0]["image_path"], paths.join(","));
    assert_eq!(turns[0]["image_paths"], json!(paths));
    assert_eq!(turns[0]["response"], "A lighthouse.");
    assert_eq!(turns[0]["vision_chat_id"], gallery.chat);
    assert_eq!(turns[0]["pictures"][1]["media_type"], "image/bmp");
    assert_eq!(turns[0]["pictures"][1]["kept"], true);
    assert_eq!(turns[1]["image_path"], "");
}

#[test]
fn pictures_come_as_data_urls_larger_than_other_bodies() {
    let gallery = Gallery::of(TestServer::over(World::new(), |options| {
        options.body_limit = 300;
        options.picture_body_limit = 2000;
    }));
    let body = json!({"query": "What is this?", "image_paths": [data_url(RED), data_url(BLUE)]});
    assert!(body.to_string().len() > 300);
    gallery.ask(&body).ok();
    assert_eq!(gallery.shown(), [0, 2]);
    assert_eq!(gallery.turns()[0]["image_path"], "picture 1,picture 2");
    let padded = json!({"query": "x".repeat(3000), "image_paths": []});
    assert!(gallery.ask(&padded).refused(413).contains("2000"));
    let other = gallery.server.post("/bots", &json!({"x": "y".repeat(400)}));
    assert!(other.refused(413).contains("300"));
}

#[test]
fn an_answer_streams_as_text_or_as_events() {
    let gallery = Gallery::new();
    let body = json!({"query": "What?", "image_paths": [data_url(RED)], "stream": true});
    let reply = gallery.ask(&body);
    assert_eq!((reply.status, &*reply.body), (200, "an answer"));
    assert!(reply.content_type.starts_with("text/plain"), "{reply:?}");

    let headers = [
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
    ];
    let body = json!({"query": "And?", "image_paths": []}).to_string();
    let path = gallery.ask_path();
    let reply = gallery.server.post_raw(&path, &headers, body.as_bytes());
    let done = reply.body.split("event: done\ndata: ").nth(1).unwrap();
    let done: Value = serde_json::from_str(done.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&done["response"], &done["turn"]),
        (&json!("an answer"), &json!(1))
    );
}

#[test]
fn only_files_of_the_allowed_directories_are_pictures() {
    let gallery = Gallery::new();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.bmp");
    std::fs::write(&secret, bitmap(RED)).unwrap();
    let missing = outside.path().join("missing.bmp");
    let out = gallery.server.allowed.path().join("..").join("x.bmp");
    for path in [&secret, &missing, &out] {
        let body = json!({"query": "What?", "image_paths": [path]});
        assert!(gallery.ask(&body).refused(403).contains("--allow-dir"));
    }
    assert!(gallery.server.world.eyes.requests().is_empty());
    let closed = Gallery::of(TestServer::over(World::new(), |options| {
        options.allow_dirs.clear();
    }));
    let body = json!({"query": "What?", "image_paths": [secret]});
    assert!(closed.ask(&body).refused(403).contains("--allow-dir"));
}

#[test]
fn a_bad_picture_is_refused_by_name_and_stored_as_a_failed_turn() {
    let gallery = Gallery::new();
    let inside = gallery.server.allowed.path().canonicalize().unwrap();
    let text = gallery.server.file("text.png", "not a picture");
    let bad = [
        inside.join("missing.png").display().to_string(),
        text.canonicalize().unwrap().display().to_string(),
        inside.display().to_string(),
        "https://example.org/cat.png".to_owned(),
    ];
    for (number, path) in bad.iter().enumerate() {
        let body = json!({"query": "What?", "image_paths": [path]});
        let detail = gallery.ask(&body).refused(400);
        assert!(detail.contains(path), "{detail}");
        let turn = &gallery.turns()[number];
        assert_eq!(
            (&turn["status"], &turn["image_path"]),
            (&json!("failed"), &json!(path))
        );
    }
    let many = vec![inside.join("x.png"); 30];
    let detail = gallery
        .ask(&json!({"query": "?", "image_paths": many}))
        .refused(400);
    assert!(detail.contains("30") && detail.contains("16"), "{detail}");
    let url = json!({"query": "?", "image_paths": ["data:text/plain,hello"]});
    assert!(gallery.ask(&url).refused(400).contains("picture 1"));
    gallery
        .ask(&json!({"query": "?", "image_paths": [data_url(RED)]}))
        .ok();
    let detail = json!({"query": "?", "image_paths": [], "detail": "extreme"});
    assert!(gallery.ask(&detail).refused(422).contains("detail"));
}

#[test]
fn a_vision_chat_is_made_listed_read_named_and_deleted() {
    let server = TestServer::start();
    let bot = server.bot(&["Text."]);
    let made = server
        .post_nothing(&format!("/bots/{bot}/vision-chats"))
        .ok();
    let id = made["vision_chat_id"].as_str().unwrap();
    assert!(id.starts_with("vision-"), "{id}");
    assert_eq!(
        server.get(&format!("/bots/{bot}/chats")).ok()["vision_chat_ids"],
        json!([id])
    );

    let path = format!("/vision-chats/{id}");
    assert_eq!(
        server.get(&format!("{path}?order=oldest")).ok(),
        json!({"messages": []})
    );
    assert_eq!(
        server.patch(&path, &json!({"title": "Photos"})).ok()["title"],
        "Photos"
    );
    assert_eq!(
        server.delete(&path).ok(),
        json!({"status": "deleted", "vision_chat_id": id})
    );
    server.get(&path).refused(404);
}

#[test]
fn a_question_about_pictures_says_what_is_missing() {
    let gallery = Gallery::of(TestServer::over(World::blind(), |_| {}));
    let body = json!({"query": "What is this?", "image_paths": [data_url(RED)]});
    let detail = gallery.ask(&body).refused(503);
    assert!(
        detail.contains("SmolLM2-135M-Instruct.Q4_1.gguf"),
        "{detail}"
    );
    let web = json!({"query": "?", "image_paths": [], "web_search": true});
    assert!(gallery.ask(&web).refused(501).starts_with("web_search"));
    gallery.ask(&json!({"query": "?"})).refused(422);
    gallery
        .ask(&json!({"query": " ", "image_paths": []}))
        .refused(400);
    assert_eq!(gallery.turns().len(), 1, "what is no question is no turn");
}

#[test]
fn a_text_chat_is_no_vision_chat() {
    let server = TestServer::start();
    let (ask, chat) = server.chat();
    let bot = ask.split('/').nth(2).unwrap();
    server.get(&format!("/vision-chats/{chat}")).refused(404);
    let body = json!({"query": "?", "image_paths": []});
    server
        .post(&format!("/bots/{bot}/vision-chats/{chat}"), &body)
        .refused(404);
}

#[test]
fn a_picture_that_the_chat_keeps_is_served_as_a_file_and_exported_by_name() {
    let gallery = Gallery::new();
    let path = gallery.picture("red.bmp", RED);
    gallery
        .ask(&json!({"query": "What colour?", "image_paths": [path]}))
        .ok();
    let sha256 = gallery.turns()[0]["pictures"][0]["sha256"].clone();
    let chat = format!("/vision-chats/{}", gallery.chat);
    let url = gallery
        .server
        .url(&format!("{chat}/pictures/{}", sha256.as_str().unwrap()));
    let mut served = ureq::get(url).call().unwrap();
    assert_eq!(served.headers()["content-type"], "application/octet-stream");
    assert_eq!(served.headers()["content-disposition"], "attachment");
    assert_eq!(served.body_mut().read_to_vec().unwrap(), bitmap(RED));
    let text = gallery
        .server
        .get(&format!("{chat}/export?format=markdown"))
        .body;
    assert!(
        text.contains("> Picture: ") && text.contains("red.bmp"),
        "{text}"
    );
    let line = gallery.server.get(&format!("{chat}/export")).json();
    assert_eq!(line["vision_chat_id"], json!(gallery.chat));
    assert_eq!(line["response"], "an answer");
    // Another chat of the same bot does not show it.
    let made = gallery
        .server
        .post_nothing(&format!("/bots/{}/vision-chats", gallery.bot))
        .ok();
    let other = made["vision_chat_id"].as_str().unwrap();
    let path = format!(
        "/vision-chats/{other}/pictures/{}",
        sha256.as_str().unwrap()
    );
    gallery.server.get(&path).refused(404);
}
