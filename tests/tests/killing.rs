//! Killing the server in the middle of its work: what it has acknowledged is there afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Child;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use longtrainer_tests::{models_are_here, start_serve};
use serde_json::{Value, json};

/// How often the server is killed.
const KILLS: usize = 3;
/// Things acknowledged between two kills, at least.
const BETWEEN: usize = 12;

/// A running server.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(data_dir: &Path) -> Self {
        let (process, address) = start_serve(data_dir, &["--offline".as_ref()]);
        Self { process, address }
    }

    /// SIGKILL: no destructor, no flush, no farewell.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn client(&self) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)));
        Client {
            agent: config.build().into(),
            address: self.address.clone(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

struct Client {
    agent: ureq::Agent,
    address: String,
}

impl Client {
    /// A whole answer; `None` if the server is gone.
    fn call(&self, method: &str, path: &str, kind: &str, body: &str) -> Option<(u16, String)> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("Content-Type", kind)
            .body(body.to_owned())
            .unwrap();
        let mut response = self.agent.run(request).ok()?;
        let text = response.body_mut().read_to_string().ok()?;
        Some((response.status().as_u16(), text))
    }

    /// An acknowledgement; `None` if the server is gone.
    fn json(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let (status, text) = self.call(method, path, "application/json", &body.to_string())?;
        assert!(
            matches!(status, 200 | 202),
            "{method} {path}: {status} {text}"
        );
        Some(serde_json::from_str(&text).unwrap())
    }

    fn upload(&self, bot: &str, name: &str) -> Option<Value> {
        let form = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n\
             The boat {name} is red.\r\n--XX--\r\n"
        );
        let path = format!("/bots/{bot}/documents/upload");
        let (status, text) = self.call("POST", &path, "multipart/form-data; boundary=XX", &form)?;
        assert_eq!(status, 202, "{text}");
        Some(serde_json::from_str(&text).unwrap())
    }

    fn get(&self, path: &str) -> Value {
        self.json("GET", path, &json!({}))
            .expect("the server is there")
    }
}

/// What the server has acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Files of each bot.
    files: BTreeMap<String, Vec<String>>,
    /// Titles of chats.
    titles: BTreeMap<String, String>,
    /// Questions and answers of chats.
    turns: BTreeMap<String, Vec<(String, String)>>,
    jobs: Vec<String>,
    /// How many things that are.
    count: usize,
}

/// Has the server do things, and notes what it says that it has done, until it is gone.
fn work(client: &Client, known: &Mutex<Acknowledged>, round: usize) -> Option<()> {
    let note = |note: &mut dyn FnMut(&mut Acknowledged)| {
        let mut known = known.lock().unwrap();
        note(&mut known);
        known.count += 1;
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for number in 0.. {
        let bot = text(&client.json("POST", "/bots", &json!({}))?["bot_id"]);
        note(&mut |known| {
            known.files.entry(bot.clone()).or_default();
        });
        for file in 0..3 {
            let name = format!("{round}-{number}-{file}.txt");
            let job = client.upload(&bot, &name)?;
            note(&mut |known| {
                known.files.get_mut(&bot).unwrap().push(name.clone());
                known.jobs.push(text(&job["job_id"]));
            });
        }
        client.json("POST", &format!("/bots/{bot}/build"), &json!({}))?;
        let chat =
            text(&client.json("POST", &format!("/bots/{bot}/chats"), &json!({}))?["chat_id"]);
        let title = format!("Chat {round}.{number}");
        client.json(
            "PATCH",
            &format!("/chats/{chat}"),
            &json!({ "title": title }),
        )?;
        note(&mut |known| drop(known.titles.insert(chat.clone(), title.clone())));
        for question in ["What colour is the boat?", "Say its name."] {
            let ask = format!("/bots/{bot}/chats/{chat}");
            let answer = client.json("POST", &ask, &json!({ "query": question }))?;
            let turn = (question.to_owned(), text(&answer["answer"]));
            note(&mut |known| {
                known
                    .turns
                    .entry(chat.clone())
                    .or_default()
                    .push(turn.clone())
            });
        }
    }
    None
}

/// Waits until no job waits or is at work.
fn settle(client: &Client) -> Value {
    let began = Instant::now();
    loop {
        let jobs = client.get("/jobs");
        let is_ended = |job: &Value| job["status"] != "pending" && job["status"] != "processing";
        if jobs["jobs"].as_array().unwrap().iter().all(is_ended) {
            return jobs;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{jobs}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn check(client: &Client, known: &Acknowledged) {
    let jobs = settle(client);
    let jobs: BTreeMap<_, _> = jobs["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["job_id"].as_str().unwrap(), job))
        .collect();
    for job_id in &known.jobs {
        let job = jobs
            .get(job_id.as_str())
            .unwrap_or_else(|| panic!("job {job_id} is gone"));
        assert_eq!(job["status"], "success", "{job}");
    }
    for (bot, files) in &known.files {
        let listed = client.get(&format!("/bots/{bot}/documents"));
        let mut sources: Vec<_> = listed["documents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|document| document["metadata"]["source"].as_str().unwrap().to_owned())
            .collect();
        // The file that was being sent when the server was killed may have become a job unheard.
        sources.retain(|source| files.contains(source));
        // Two jobs work at once, so the first file need not be the first to be read.
        sources.sort();
        let mut files = files.clone();
        files.sort();
        assert_eq!(sources, files, "of {bot}");
    }
    for (chat, title) in &known.titles {
        let messages = client.get(&format!("/chats/{chat}"));
        let turns = messages["messages"].as_array().unwrap();
        let said = known.turns.get(chat).cloned().unwrap_or_default();
        let stored: Vec<_> = turns
            .iter()
            .rev()
            .map(|turn| {
                let text = |field: &str| turn[field].as_str().unwrap().to_owned();
                (text("question"), text("answer"))
            })
            .collect();
        assert_eq!(stored[..said.len()], said, "in {title}");
    }
    for bot in known.files.keys() {
        let chats = client.get(&format!("/bots/{bot}/chats"));
        for chat in chats["chats"].as_array().unwrap() {
            if let Some(title) = known.titles.get(chat["chat_id"].as_str().unwrap()) {
                assert_eq!(&chat["title"], title);
            }
        }
    }
}

#[test]
fn what_was_acknowledged_survives_three_kills() {
    if !models_are_here() {
        return;
    }
    let data_dir = tempfile::tempdir().unwrap();
    let known = Mutex::new(Acknowledged::default());
    let mut server = Server::start(data_dir.path());
    for round in 0..KILLS {
        let client = server.client();
        let before = known.lock().unwrap().count;
        std::thread::scope(|scope| {
            let working = scope.spawn(|| work(&client, &known, round));
            let began = Instant::now();
            while known.lock().unwrap().count < before + BETWEEN && !working.is_finished() {
                assert!(began.elapsed() < Duration::from_secs(300), "{known:?}");
                std::thread::sleep(Duration::from_millis(1));
            }
            // In the middle of whatever it is doing, at another place each time.
            std::thread::sleep(Duration::from_millis(37 * round as u64));
            server.kill();
            assert!(working.join().unwrap().is_none());
        });
        server = Server::start(data_dir.path());
        check(&server.client(), &known.lock().unwrap());
    }
    let known = known.into_inner().unwrap();
    assert!(known.count >= KILLS * BETWEEN, "{known:?}");
    assert!(
        !known.turns.is_empty() && !known.jobs.is_empty(),
        "{known:?}"
    );
    let uploads = std::fs::read_dir(data_dir.path().join("uploads")).unwrap();
    assert_eq!(uploads.count(), 0, "files of uploads are left behind");
}
