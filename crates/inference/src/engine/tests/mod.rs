//! The engine with a fake model.

mod batches;
mod chosen;
mod ends;
mod fake;
mod memory;

use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use async_channel::Sender;

use super::*;
use crate::{FinishReason, Sampling, StreamItem, TextStream, Usage};
use fake::{Bytes, CONTEXT, Fake, Rule};

struct Setup {
    engine: Engine,
    calls: Arc<AtomicUsize>,
    tokens: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    blocks: Arc<AtomicUsize>,
    permits: Sender<()>,
}

fn options() -> EngineOptions {
    EngineOptions::default()
}

fn start(rule: Rule) -> Setup {
    start_with(rule, false, &options())
}

fn start_with(rule: Rule, waits: bool, options: &EngineOptions) -> Setup {
    let (permits, receiver) = async_channel::unbounded();
    let [calls, tokens, most, blocks] = std::array::from_fn(|_| Arc::<AtomicUsize>::default());
    let fake = Fake {
        rule,
        calls: Arc::clone(&calls),
        tokens: Arc::clone(&tokens),
        most: Arc::clone(&most),
        blocks: Arc::clone(&blocks),
        permits: waits.then_some(receiver),
    };
    let bytes = Arc::new(Bytes((0..=255).map(|byte| [byte]).collect()));
    let engine = Engine::start("fake", fake, bytes, Some(1), CONTEXT, options).unwrap();
    Setup {
        engine,
        calls,
        tokens,
        most,
        blocks,
        permits,
    }
}

/// A greedy job, and where its answer comes.
fn job(prompt: Vec<u32>, max_tokens: usize) -> (Job, TextStream) {
    let (events, receiver) = async_channel::unbounded();
    let job = Job {
        prompt,
        soft: Vec::new(),
        adapter: None,
        cache_scope: None,
        sampling: Sampling::default(),
        max_tokens,
        stop: Vec::new(),
        stop_tokens: Vec::new(),
        guide: None,
        top_logprobs: None,
        events,
        submitted: Instant::now(),
        span: tracing::Span::none(),
    };
    (job, TextStream::new(receiver))
}

fn sampled(seed: u64) -> Sampling {
    Sampling {
        temperature: 0.7,
        seed: Some(seed),
        ..Sampling::default()
    }
}

impl Setup {
    fn submit(&self, (job, stream): (Job, TextStream)) -> TextStream {
        self.engine.submit(job).unwrap();
        stream
    }

    fn ask(&self, prompt: Vec<u32>, max_tokens: usize, stop: &[&str]) -> TextStream {
        let (mut job, stream) = job(prompt, max_tokens);
        job.stop = stop.iter().map(|stop| (*stop).to_owned()).collect();
        self.submit((job, stream))
    }

    fn wait_for_calls(&self, count: usize) {
        wait_until("the engine's next step", || {
            self.calls.load(Ordering::SeqCst) >= count
        });
    }
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} never came");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What an answer was.
#[derive(Debug, PartialEq)]
struct Whole {
    text: String,
    finish_reason: FinishReason,
    usage: Usage,
}

fn collect(stream: TextStream) -> Result<Whole> {
    let mut text = String::new();
    let mut end = None;
    for item in stream {
        assert!(end.is_none(), "something came after the end");
        match item? {
            StreamItem::Token(_) => (),
            StreamItem::Text(piece) => text.push_str(&piece),
            StreamItem::Done(done) => end = Some(done),
        }
    }
    let done = end.unwrap_or_else(|| panic!("the stream ended without an end"));
    Ok(Whole {
        text,
        finish_reason: done.finish_reason,
        usage: done.usage,
    })
}

fn text_of(stream: TextStream) -> String {
    collect(stream).unwrap().text
}
