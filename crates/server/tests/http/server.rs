//! A server on a free port, over a fresh data directory, and a client that speaks JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use longtrainer_server::{Server, ServerOptions};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::fakes::{Behaviour, ScriptedModel, World, eventually};

/// A running server. Dropping it stops it.
pub(crate) struct TestServer {
    pub(crate) world: World,
    pub(crate) address: SocketAddr,
    /// A directory that the server may read.
    pub(crate) allowed: tempfile::TempDir,
    stop: UnboundedSender<()>,
    thread: Option<JoinHandle<()>>,
    agent: ureq::Agent,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    /// A header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer that must be a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The reason of an answer that must be an error of this status, in the documented form.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.content_type, "application/json", "{self:?}");
        let body = self.json();
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        assert!(body["request_id"].is_string(), "{body}");
        body["detail"].as_str().unwrap().to_owned()
    }
}

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::over(World::new(), |_| {})
    }

    /// A server over an existing data directory, its options changed.
    pub(crate) fn over(world: World, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let allowed = tempfile::tempdir().unwrap();
        let mut options = ServerOptions {
            port: 0,
            allow_dirs: vec![allowed.path().to_owned()],
            ..ServerOptions::default()
        };
        change(&mut options);
        let (stop, mut stops) = unbounded_channel();
        let (tell_address, told) = std::sync::mpsc::channel();
        let trainer = world.trainer.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async move {
                let server = Server::bind(trainer, options).await.unwrap();
                tell_address.send(server.url()).unwrap();
                server
                    .run_until(async move || stops.recv().await.unwrap_or_default())
                    .await
                    .unwrap();
            });
        });
        let url: String = told.recv().unwrap();
        let address = url.split_once("://").unwrap().1.parse().unwrap();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        Self {
            world,
            address,
            allowed,
            stop,
            thread: Some(thread),
            agent: config.into(),
        }
    }

    pub(crate) fn model(&self) -> &Arc<ScriptedModel> {
        &self.world.model
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.world.model.behave(behaviour);
    }

    /// Tells the server to stop; a second time, to stop at once.
    pub(crate) fn tell_to_stop(&self) {
        self.stop.send(()).unwrap();
    }

    /// Waits for the server's end.
    pub(crate) fn wait_for_end(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }

    /// Stops the server and gives its data directory back.
    pub(crate) fn into_world(mut self) -> World {
        let world = std::mem::replace(&mut self.world, World::new());
        drop(self);
        world
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        reply(self.agent.get(self.url(path)).call())
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        reply(self.agent.delete(self.url(path)).call())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        reply(self.agent.post(self.url(path)).send_json(body))
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Reply {
        reply(self.agent.put(self.url(path)).send_json(body))
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Reply {
        reply(self.agent.patch(self.url(path)).send_json(body))
    }

    /// A post without a body.
    pub(crate) fn post_nothing(&self, path: &str) -> Reply {
        reply(self.agent.post(self.url(path)).send_empty())
    }

    /// A post with headers and a body of any kind.
    pub(crate) fn post_raw(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = self.agent.post(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.send(body))
    }

    /// A put with headers and a body of any kind.
    pub(crate) fn put_raw(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = self.agent.put(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.send(body))
    }

    /// A request of any method with headers, and with a JSON body if there is one.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(match body {
            None => self.agent.run(request.body(()).unwrap()),
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string()).unwrap())
            }
        })
    }

    /// A get with headers.
    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.agent.get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.call())
    }

    /// A built bot that knows these texts, through the facade.
    pub(crate) fn bot(&self, texts: &[&str]) -> String {
        self.world.bot(texts).to_string()
    }

    /// A built bot that knows one text, and a chat with it: the path to ask on, and the chat's id.
    pub(crate) fn chat(&self) -> (String, String) {
        let bot = self.bot(&["The lighthouse keeper is called Ingrid."]);
        let made = self.post_nothing(&format!("/bots/{bot}/chats")).ok();
        let chat = made["chat_id"].as_str().unwrap().to_owned();
        (format!("/bots/{bot}/chats/{chat}"), chat)
    }

    /// The turns of a chat, oldest first.
    pub(crate) fn turns(&self, chat: &str) -> Vec<Value> {
        let body = self.get(&format!("/chats/{chat}?order=oldest")).ok();
        body["messages"].as_array().unwrap().clone()
    }

    /// Waits until a chat has one turn, and returns it.
    pub(crate) fn only_turn(&self, chat: &str) -> Value {
        eventually("a turn is stored", || !self.turns(chat).is_empty());
        let turns = self.turns(chat);
        assert_eq!(turns.len(), 1, "{turns:?}");
        turns.into_iter().next().unwrap()
    }

    /// A file in the directory that the server may read.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.allowed.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Adds a file as a job and waits for the job's end.
    pub(crate) fn ingest(&self, bot: &str, path: &std::path::Path) -> Value {
        let begun = self
            .post(
                &format!("/bots/{bot}/documents/path"),
                &json!({ "path": path }),
            )
            .ok();
        assert_eq!(begun["status"], "pending", "{begun}");
        let job = format!("/jobs/{}", begun["job_id"].as_str().unwrap());
        let running = |job: &Value| job["status"] == "pending" || job["status"] == "processing";
        eventually("the job ends", || !running(&self.get(&job).ok()));
        self.get(&job).ok()
    }

    /// A connection of its own, on which a question has been sent.
    pub(crate) fn ask_raw(&self, path: &str, headers: &str, body: &Value) -> Connection {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        Connection {
            reader: BufReader::new(stream),
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Twice: at once.
        let _ = self.stop.send(());
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client that reads its answer line by line. Dropping it is leaving.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Reads until a line that contains `text`, and returns everything read.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut read = String::new();
        loop {
            let mut line = String::new();
            let bytes = self.reader.read_line(&mut line).unwrap();
            read += &line;
            assert!(bytes > 0, "the answer ended without {text:?}: {read}");
            if line.contains(text) {
                return read;
            }
        }
    }

    /// Reads to the end of the connection.
    pub(crate) fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.reader.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }
}

fn reply(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Reply {
    let mut response = response.unwrap();
    let content_type = response
        .headers()
        .get("content-type")
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default();
    let body = response.body_mut().read_to_vec().unwrap();
    Reply {
        status: response.status().as_u16(),
        content_type,
        headers: response.headers().clone(),
        // Pictures are no text.
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}
