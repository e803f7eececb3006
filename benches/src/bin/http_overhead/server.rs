//! The server, over connections that are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use longtrainer_benches::{Asked, HttpClient};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::engine::Answer;
use crate::sample::PAUSE;

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As one object.
    Whole,
    /// As an event a piece.
    Streamed,
}

/// A server, and the one thread that its clients share.
pub(crate) struct Server {
    runtime: Runtime,
    address: String,
    key: Option<String>,
}

impl Server {
    pub(crate) fn new(address: &str, key: Option<String>) -> Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Ok(Self {
            runtime: runtime.enable_all().build()?,
            address: address.to_owned(),
            key,
        })
    }

    fn client(&self) -> HttpClient {
        HttpClient::new(&self.address).with_key(self.key.clone())
    }

    /// How long each of some equal requests took, from the first byte sent to the last one read.
    pub(crate) fn times(&self, asked: &Asked, requests: usize) -> Result<Vec<Duration>> {
        let mut client = self.client();
        self.runtime.block_on(async {
            // The connection is opened before the clock runs.
            client.get_done(&Asked::get("/health")).await?;
            let mut times = Vec::with_capacity(requests);
            for _ in 0..requests {
                tokio::time::sleep(PAUSE).await;
                let started = Instant::now();
                let reply = client.ask(asked).await?;
                times.push(started.elapsed());
                ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
            }
            Ok(times)
        })
    }

    /// What the server says to several chats at once, each chat's requests one after the other.
    pub(crate) fn chats(&self, chats: Vec<Vec<Asked>>) -> Result<Vec<Bytes>> {
        self.runtime.block_on(async {
            let mut asking = JoinSet::new();
            for (chat, requests) in chats.into_iter().enumerate() {
                let client = self.client();
                asking.spawn(async move { (chat, one_chat(client, requests).await) });
            }
            let mut replies = asking.join_all().await;
            replies.sort_by_key(|(chat, _)| *chat);
            let replies = replies.into_iter().map(|(_, replies)| replies);
            Ok(replies.collect::<Result<Vec<_>>>()?.concat())
        })
    }

    /// What the server says to requests that several clients share.
    pub(crate) fn share(&self, requests: Vec<Asked>, clients: usize) -> Result<Bytes> {
        let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
        self.runtime.block_on(async {
            let mut working = JoinSet::new();
            for _ in 0..clients {
                let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
                working.spawn(work(self.client(), requests, next));
            }
            let last = working.join_all().await;
            let last: Vec<_> = last.into_iter().collect::<Result<_>>()?;
            last.into_iter()
                .flatten()
                .next()
                .context("nothing was asked")
        })
    }
}

async fn one_chat(mut client: HttpClient, requests: Vec<Asked>) -> Result<Vec<Bytes>> {
    let mut replies = Vec::with_capacity(requests.len());
    for asked in &requests {
        let reply = client.ask(asked).await?;
        ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
        replies.push(reply.body);
    }
    Ok(replies)
}

/// Takes the next request until there is none; the last reply.
async fn work(
    mut client: HttpClient,
    requests: Arc<Vec<Asked>>,
    next: Arc<AtomicUsize>,
) -> Result<Option<Bytes>> {
    let mut last = None;
    while let Some(asked) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let reply = client.ask(asked).await?;
        ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
        last = Some(reply.body);
    }
    Ok(last)
}

/// A question whose answer is greedy.
pub(crate) fn question(model: &str, question: &str, max_tokens: usize, form: Form) -> Asked {
    let mut body = json!({
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        "temperature": 0,
    });
    if form == Form::Streamed {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    Asked::post("/v1/chat/completions", &body)
}

/// The answer in what the server said.
pub(crate) fn answer(reply: &[u8], form: Form) -> Result<Answer> {
    let reply = std::str::from_utf8(reply)?;
    let broken = || format!("not an answer: {reply:?}");
    match form {
        Form::Whole => whole(&serde_json::from_str(reply)?),
        Form::Streamed => streamed(reply),
    }
    .with_context(broken)
}

fn whole(reply: &Value) -> Option<Answer> {
    Some(Answer {
        text: reply["choices"][0]["message"]["content"]
            .as_str()?
            .to_owned(),
        tokens: usize::try_from(reply["usage"]["completion_tokens"].as_u64()?).ok()?,
    })
}

fn streamed(reply: &str) -> Option<Answer> {
    let (mut text, mut tokens) = (String::new(), None);
    for data in reply.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if data == "[DONE]" {
            return Some(Answer {
                text,
                tokens: tokens?,
            });
        }
        let event: Value = serde_json::from_str(data).ok()?;
        text += event["choices"][0]["delta"]["content"]
            .as_str()
            .unwrap_or_default();
        tokens = event["usage"]["completion_tokens"]
            .as_u64()
            .and_then(|tokens| usize::try_from(tokens).ok())
            .or(tokens);
    }
    None
}
