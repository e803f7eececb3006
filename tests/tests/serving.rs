//! The `serve` binary over real HTTP with the real models.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;

use longtrainer_tests::{models_are_here, repository, start_serve};
use serde_json::{Value, json};

/// A server on a port of its own over a fresh data directory.
struct Server {
    process: Child,
    address: String,
    data_dir: tempfile::TempDir,
}

impl Server {
    fn start(documents: &std::path::Path) -> Self {
        Self::start_with(documents, &["--offline"])
    }

    fn start_with(documents: &std::path::Path, flags: &[&str]) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let (process, address) = spawn(&data_dir, documents, flags);
        Self {
            process,
            address,
            data_dir,
        }
    }

    /// Ends the process without warning and starts another over the same directory.
    fn kill_and_restart(&mut self, documents: &std::path::Path) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        (self.process, self.address) = spawn(&self.data_dir, documents, &["--offline"]);
    }

    fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let (status, text) = self.call_text(method, path, body);
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    fn call_text(&self, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut response = agent.run(request.body(body).unwrap()).unwrap();
        (
            response.status().as_u16(),
            response.body_mut().read_to_string().unwrap(),
        )
    }

    fn ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn spawn(
    data_dir: &tempfile::TempDir,
    documents: &std::path::Path,
    flags: &[&str],
) -> (Child, String) {
    let allowed = ["--allow-dir".as_ref(), documents.as_os_str()];
    let flags = flags.iter().map(AsRef::as_ref);
    let flags: Vec<_> = allowed.into_iter().chain(flags).collect();
    start_serve(data_dir.path(), &flags)
}

#[test]
fn the_documented_routes_do_the_main_job() {
    if !models_are_here() {
        return;
    }
    let documents = tempfile::tempdir().unwrap();
    let notes = documents.path().join("notes.txt");
    std::fs::write(&notes, "The lighthouse was built in 1862 by Mary Field.").unwrap();
    let mut server = Server::start(documents.path());
    assert_eq!(server.ok("GET", "/health", None)["status"], "ok");

    let bot = server.ok("POST", "/bots", None)["bot_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let job = server.ok(
        "POST",
        &format!("/bots/{bot}/documents/path"),
        Some(json!({"path": notes})),
    );
    let job = format!("/jobs/{}", job["job_id"].as_str().unwrap());
    let done = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        server.ok("GET", &job, None)["status"] == "success"
    });
    assert!(done, "{}", server.ok("GET", &job, None));
    server.ok("POST", &format!("/bots/{bot}/build"), Some(json!({})));
    let found = server.ok(
        "POST",
        &format!("/bots/{bot}/vectorstore"),
        Some(json!({"query": "lighthouse"})),
    );
    assert!(
        found["documents"][0]["content"]
            .as_str()
            .unwrap()
            .contains("Mary Field")
    );

    let chat = server.ok("POST", &format!("/bots/{bot}/chats"), None)["chat_id"].clone();
    let chat = chat.as_str().unwrap().to_owned();
    let ask = format!("/bots/{bot}/chats/{chat}");
    let question = json!({"query": "Who built the lighthouse?"});
    let answer = server.ok("POST", &ask, Some(question.clone()));
    assert!(
        answer["answer"].as_str().unwrap().contains("Mary Field"),
        "{answer}"
    );
    let streamed = json!({"query": "Who built the lighthouse?", "stream": true});
    let (status, text) = server.call_text("POST", &ask, Some(streamed));
    assert_eq!(status, 200);
    assert!(text.contains("Mary Field"), "{text}");

    let (status, figures) = server.call_text("GET", "/metrics", None);
    assert_eq!(status, 200);
    let figure = |name: &str| -> f64 {
        let line = figures.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value
            .unwrap_or_else(|| panic!("{name}\n{figures}"))
            .parse()
            .unwrap()
    };
    let of_model = |name: &str| figure(&format!("longtrainer_engine_{name}{{"));
    assert!(of_model("generated_tokens_total") > 5.0);
    assert!(
        of_model("cached_tokens_total") > 5.0,
        "the second question began as the first"
    );
    assert_eq!(of_model("time_to_first_token_seconds_count"), 2.0);
    assert!(of_model("cache_bytes") > 1e5);
    assert!(figure("longtrainer_models_memory_bytes") > 5e7);
    assert_eq!(server.ok("GET", "/ready", None)["status"], "ready");

    // What was acknowledged survives a kill.
    server.kill_and_restart(documents.path());
    let messages = server.ok("GET", &format!("/chats/{chat}?order=oldest"), None);
    assert_eq!(messages["messages"].as_array().unwrap().len(), 2);
    assert_eq!(messages["messages"][0]["answer"], answer["answer"]);
    let trained = server.ok("POST", &format!("/bots/{bot}/train-chats"), None);
    assert_eq!(trained["message"], "Trainer updated with new chat history.");
    let (status, _) = server.call("DELETE", &format!("/bots/{bot}"), None);
    assert_eq!(status, 200);
    assert_eq!(server.call("GET", &format!("/chats/{chat}"), None).0, 404);
}

/// A page at an address of this machine.
fn page(html: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let length = html.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{html}"
            )
            .unwrap();
        }
    });
    format!("http://{address}/harbour")
}

#[test]
fn the_other_documented_routes_do_theirs() {
    if !models_are_here() {
        return;
    }
    let pictures = repository().join("examples/pictures");
    let server = Server::start_with(&pictures, &["--allow-link-network=127.0.0.0/8"]);
    let bot = server.ok("POST", "/bots", None)["bot_id"].clone();
    let bot = format!("/bots/{}", bot.as_str().unwrap());

    let link = page("<p>The harbour master of Skagen is called Ingrid Holm.</p>");
    let linked = json!({"links": [link]});
    let added = server.ok("POST", &format!("{bot}/documents/link"), Some(linked));
    assert_eq!(
        (&added["status"], &added["added"]),
        (&json!("ok"), &json!(1))
    );
    let searched = json!({"search_query": "harbours"});
    let query = server.call("POST", &format!("{bot}/documents/query"), Some(searched));
    assert_eq!(query.0, 501, "{}", query.1);
    server.ok("POST", &format!("{bot}/build"), None);
    assert_eq!(
        server.ok("POST", &format!("{bot}/load"), None)["status"],
        "ok"
    );
    let template = json!({"prompt_template": "Answer in few words from this:\n{context}"});
    server.ok("PUT", &format!("{bot}/prompt"), Some(template));

    let chat = server.ok("POST", &format!("{bot}/chats"), None)["chat_id"].clone();
    let schema = json!({
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 40}},
        "required": ["name"],
        "additionalProperties": false,
    });
    let answer = server.ok(
        "POST",
        &format!("{bot}/chats/{}", chat.as_str().unwrap()),
        Some(json!({"query": "Who is the harbour master?", "schema": schema})),
    );
    assert_eq!(answer["answer"]["data"]["name"], "Ingrid Holm", "{answer}");

    let seen = server.ok("POST", &format!("{bot}/vision-chats"), None)["vision_chat_id"].clone();
    let picture = pictures.join("red-circle.png");
    let look = json!({"query": "What colour is the circle?", "image_paths": [picture]});
    let path = format!("{bot}/vision-chats/{}", seen.as_str().unwrap());
    let said = server.ok("POST", &path, Some(look));
    assert_eq!(said["response"], "red", "{said}");

    let chats = server.ok("GET", &format!("{bot}/chats"), None);
    assert_eq!(chats["chat_ids"], json!([chat]));
    assert_eq!(chats["vision_chat_ids"], json!([seen]));
}

#[test]
fn a_client_that_leaves_stops_the_answer() {
    if !models_are_here() {
        return;
    }
    let documents = tempfile::tempdir().unwrap();
    let server = Server::start(documents.path());
    let bot = server.ok("POST", "/bots", None)["bot_id"]
        .as_str()
        .unwrap()
        .to_owned();
    server.ok("POST", &format!("/bots/{bot}/build"), Some(json!({})));
    let chat = server.ok("POST", &format!("/bots/{bot}/chats"), None)["chat_id"].clone();
    let chat = chat.as_str().unwrap().to_owned();

    let body =
        json!({"query": "Tell a very long story about the sea.", "stream": true}).to_string();
    let mut socket = TcpStream::connect(&server.address).unwrap();
    write!(
        socket,
        "POST /bots/{bot}/chats/{chat} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    )
    .unwrap();
    socket.read_exact(&mut [0; 64]).unwrap();
    drop(socket);

    let path = format!("/chats/{chat}");
    let cancelled = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        server.ok("GET", &path, None)["messages"][0]["status"] == "cancelled"
    });
    assert!(cancelled, "{}", server.ok("GET", &path, None));
}
