//! What the log says of requests, and what it keeps to itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::fakes::{Behaviour, World, eventually};
use crate::server::TestServer;

/// What this process has logged. The tests run side by side, so each looks for its own requests.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_writer(log.clone())
            .init();
        log
    })
}

/// The lines about the request with this id.
fn lines_of(id: &str) -> Vec<Value> {
    let log = log().0.lock().unwrap().clone();
    let text = String::from_utf8(log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line["span"]["id"] == id)
        .collect()
}

/// The one line that says how the request ended.
fn answered(id: &str) -> Value {
    let ends = || -> Vec<Value> {
        let lines = lines_of(id).into_iter();
        lines.filter(|line| line["message"] == "answered").collect()
    };
    eventually("the request is logged", || !ends().is_empty());
    let ends = ends();
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends.into_iter().next().unwrap()
}

#[test]
fn an_id_is_taken_echoed_and_told_in_errors() {
    let server = TestServer::start();
    let reply = server.get_with("/jobs/none", &[("X-Request-Id", "trace-1.a:b_c")]);
    assert_eq!(reply.header("x-request-id"), "trace-1.a:b_c");
    assert_eq!(reply.json()["request_id"], "trace-1.a:b_c");
    let forged = "a b\" status=200";
    for sent in [forged, &"x".repeat(129), ""] {
        let reply = server.get_with("/jobs/none", &[("X-Request-Id", sent)]);
        let made = reply.header("x-request-id");
        assert_ne!(made, sent);
        assert_eq!(made.len(), 36, "{made}");
        assert_eq!(reply.json()["request_id"], made);
    }
    let [first, second] = [server.get("/health"), server.get("/health")];
    let id = |reply: &crate::server::Reply| reply.header("x-request-id").to_owned();
    assert_ne!(id(&first), id(&second));
    assert_eq!(id(&first).len(), 36);
}

#[test]
fn every_way_of_failing_tells_its_id() {
    let server = TestServer::start();
    let id = [("X-Request-Id", "told")];
    for path in ["/nowhere", "/bots/none", "/chats/none?order=sideways"] {
        let reply = server.get_with(path, &id);
        assert_eq!(reply.json()["request_id"], "told", "{path}: {reply:?}");
    }
    let foreign = server.get_with("/bots", &[id[0], ("Host", "evil.example")]);
    assert_eq!(foreign.status, 403);
    assert_eq!(foreign.json()["request_id"], "told");
    let large = vec![b' '; 3 << 20];
    let too_large = server.post_raw("/bots", &id, &large);
    assert_eq!(too_large.status, 413);
    assert_eq!(too_large.json()["request_id"], "told");
}

#[test]
fn an_error_of_openais_routes_tells_its_id_in_the_header_alone() {
    let server = TestServer::start();
    let id = [("X-Request-Id", "told-by-header")];
    for path in ["/v1/nowhere", "/v1/models/none"] {
        let reply = server.get_with(path, &id);
        assert_eq!(reply.status, 404);
        assert_eq!(reply.header("x-request-id"), "told-by-header", "{path}");
        assert!(!reply.body.contains("told-by-header"), "{path}: {reply:?}");
        assert!(reply.json()["error"]["message"].is_string(), "{reply:?}");
    }
}

#[test]
fn an_error_in_the_midst_of_events_tells_its_id() {
    let server = TestServer::start();
    let (ask, _) = server.chat();
    server.behave(Behaviour::FailMidway);
    let headers = "Accept: text/event-stream\r\nX-Request-Id: midway-1\r\nConnection: close\r\n";
    let events = server
        .ask_raw(&ask, headers, &json!({"query": "?"}))
        .read_to_end();
    let error = events.split("event: error\ndata: ").nth(1).unwrap();
    let error: Value = serde_json::from_str(error.lines().next().unwrap()).unwrap();
    assert_eq!(error["request_id"], "midway-1", "{events}");
}

#[test]
fn a_request_is_one_line() {
    log();
    let server = TestServer::start();
    let (ask, _) = server.chat();
    let id = "one-line";
    let body = json!({"query": "a question of mine"}).to_string();
    let headers = [("X-Request-Id", id), ("Content-Type", "application/json")];
    let reply = server.post_raw(&ask, &headers, body.as_bytes());
    assert_eq!(reply.status, 200);
    let line = answered(id);
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["span"]["method"], "POST");
    assert_eq!(line["span"]["route"], "/bots/{bot_id}/chats/{chat_id}");
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes"], reply.body.len());
    assert_eq!(line["whole"], true);
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line}");
    let all = lines_of(id);
    assert_eq!(all.len(), 1, "{all:?}");
}

#[test]
fn a_client_that_leaves_is_told_as_such() {
    log();
    let server = TestServer::start();
    let (ask, _) = server.chat();
    server.behave(Behaviour::Ramble);
    let headers = "X-Request-Id: leaves\r\n";
    let mut stream = server.ask_raw(&ask, headers, &json!({"query": "?", "stream": true}));
    stream.read_until("and");
    drop(stream);
    let line = answered("leaves");
    assert_eq!(
        (&line["status"], &line["whole"]),
        (&json!(200), &json!(false))
    );
}

#[test]
fn a_fault_is_logged_with_the_request_wherever_it_happens() {
    log();
    let server = TestServer::start();
    let (ask, _) = server.chat();
    server.behave(Behaviour::FailMidway);
    let id = "fault";
    let body = json!({"query": "a secret question"}).to_string();
    let headers = [("X-Request-Id", id), ("Content-Type", "application/json")];
    server
        .post_raw(&ask, &headers, body.as_bytes())
        .refused(500);
    answered(id);
    let lines = lines_of(id);
    // On the thread that stores the turn, and where the answer is made.
    for message in ["turn not completed", "request failed"] {
        let line = lines.iter().find(|line| line["message"] == message);
        let line = line.unwrap_or_else(|| panic!("{message}: {lines:?}"));
        let error = line["error"].as_str().unwrap();
        assert!(error.contains("scripted"), "{line}");
    }
    assert!(!format!("{lines:?}").contains("secret"), "{lines:?}");
}

#[test]
fn a_fault_of_openais_routes_is_logged_once() {
    log();
    let server = TestServer::start();
    server.behave(Behaviour::FailMidway);
    let id = "openais-fault";
    let body = json!({"model": "scripted",
        "messages": [{"role": "user", "content": "a secret question"}]});
    let headers = [("X-Request-Id", id), ("Content-Type", "application/json")];
    let reply = server.post_raw(
        "/v1/chat/completions",
        &headers,
        body.to_string().as_bytes(),
    );
    assert_eq!(reply.status, 500, "{reply:?}");
    assert_eq!(answered(id)["span"]["route"], "/v1/chat/completions");
    let lines = lines_of(id);
    let told = lines
        .iter()
        .filter(|line| line["message"] == "request failed");
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    assert!(
        told[0]["error"].as_str().unwrap().contains("scripted"),
        "{told:?}"
    );
    assert!(!format!("{lines:?}").contains("secret"), "{lines:?}");
}

#[test]
fn questions_and_answers_are_logged_only_if_asked_for() {
    log();
    for (log_content, id) in [(false, "kept"), (true, "told-all")] {
        let server = TestServer::over(World::new(), |options| options.log_content = log_content);
        let (ask, _) = server.chat();
        let bot = ask.split('/').nth(2).unwrap().to_owned();
        server.behave(Behaviour::Say("a very private answer".to_owned()));
        let send = |path: &str, body: Value| {
            let headers = [("X-Request-Id", id), ("Content-Type", "application/json")];
            server
                .post_raw(path, &headers, body.to_string().as_bytes())
                .ok();
        };
        send(&ask, json!({"query": "a very private question"}));
        let file = server.file("private-file.txt", "text");
        send(
            &format!("/bots/{bot}/documents/path"),
            json!({"path": file}),
        );
        let asked = json!({"model": "scripted",
            "messages": [{"role": "user", "content": "one for the model itself"}]});
        send("/v1/chat/completions", asked);
        send(
            "/v1/responses",
            json!({"model": "scripted", "input": "one more"}),
        );
        send(
            "/v1/completions",
            json!({"model": "scripted", "prompt": "begun but"}),
        );
        let of_all = || {
            lines_of(id)
                .iter()
                .filter(|line| line["message"] == "answered")
                .count()
        };
        eventually("all are logged", || of_all() == 5);
        let lines = format!("{:?}", lines_of(id));
        let answers = lines.matches("a very private answer").count();
        assert_eq!(answers, if log_content { 4 } else { 0 }, "{lines}");
        for content in [
            "a very private question",
            "a very private answer",
            "private-file",
            "one for the model itself",
            "one more",
            "begun but",
        ] {
            assert_eq!(lines.contains(content), log_content, "{content}: {lines}");
        }
    }
}

/// The `serve` binary over a data directory of its own. Dropping it ends it.
struct Serve {
    process: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Serve {
    fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_serve"))
            .args(["--port", "0", "--offline", "--models-dir"])
            .arg(data.path().join("models"))
            .arg("--data-dir")
            .arg(data.path())
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        let stdout = process.stdout.take().unwrap();
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut greeting).unwrap();
        // What nobody reads would end the program.
        std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        let url = greeting.split_whitespace().nth(2).unwrap().to_owned();
        Self {
            process,
            url,
            _data: data,
        }
    }

    fn get(&self, path: &str) -> u16 {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut reply = agent.get(format!("{}{path}", self.url)).call().unwrap();
        reply.body_mut().read_to_string().unwrap();
        reply.status().as_u16()
    }

    /// Ends it and returns what it logged.
    fn end(mut self) -> String {
        // Time for the last line.
        std::thread::sleep(std::time::Duration::from_millis(200));
        self.process.kill().unwrap();
        let mut log = String::new();
        let mut stderr = self.process.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_program_logs_requests_as_text_or_as_json() {
    let text = Serve::start(&[]);
    assert_eq!(text.get("/health"), 200);
    let log = text.end();
    let line = log.lines().find(|line| line.contains("answered"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert!(
        line.contains("route=\"/health\"") && line.contains("status=200"),
        "{line}"
    );

    let json = Serve::start(&["--log-format", "json"]);
    assert_eq!(json.get("/ready"), 503);
    let log = json.end();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let line = lines.iter().find(|line| line["message"] == "answered");
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(line["span"]["route"], "/ready", "{line}");
    assert_eq!(line["status"], 503, "{line}");

    let quiet = Serve::start(&["--quiet"]);
    assert_eq!(quiet.get("/health"), 200);
    assert_eq!(quiet.end(), "");
}
