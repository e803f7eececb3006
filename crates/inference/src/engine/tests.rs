//! The engine with a fake model, whose next token is a function of the last.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use async_channel::Sender;

use super::*;
use crate::{FinishReason, Sampling, StreamItem, TextStream};

/// After token `t` comes `t + 1`; some tokens misbehave.
struct Fake {
    /// Calls so far.
    calls: Arc<AtomicUsize>,
    /// Each call waits for a permit, if there are permits.
    permits: Option<async_channel::Receiver<()>>,
}

const PANICS: u32 = 200;
const FAILS: u32 = 210;
const OVERFLOWS: u32 = 220;
const END: u32 = 250;

impl LanguageModel for Fake {
    type Cache = Vec<u32>;

    fn new_cache(&self, _: usize) -> Vec<u32> {
        Vec::new()
    }

    fn read(&self, tokens: &[u32], cache: &mut Vec<u32>) -> Result<(), ComputeError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(permits) = &self.permits {
            let _ = permits.recv_blocking();
        }
        cache.extend(tokens);
        Ok(())
    }

    fn forward(&self, tokens: &[u32], cache: &mut Vec<u32>) -> Result<Vec<f32>, ComputeError> {
        self.read(tokens, cache)?;
        let last = *cache.last().unwrap();
        let mut logits = vec![0.0; 256];
        logits[(last as usize + 1) % 256] = 1.0;
        match last {
            PANICS => panic!("token {PANICS}"),
            FAILS => return Err(format!("token {FAILS}").into()),
            OVERFLOWS => logits[0] = f32::NAN,
            _ => (),
        }
        Ok(logits)
    }
}

struct Bytes(Vec<[u8; 1]>);

impl TokenText for Bytes {
    fn token_bytes(&self, token: u32) -> &[u8] {
        &self.0[token as usize]
    }

    fn is_end(&self, token: u32) -> bool {
        token == END
    }
}

struct Setup {
    engine: Engine,
    calls: Arc<AtomicUsize>,
    permits: Sender<()>,
}

fn start(waits: bool) -> Setup {
    let calls = Arc::new(AtomicUsize::new(0));
    let (permits, receiver) = async_channel::unbounded();
    let fake = Fake {
        calls: Arc::clone(&calls),
        permits: waits.then_some(receiver),
    };
    let bytes = Arc::new(Bytes((0..=255).map(|byte| [byte]).collect()));
    let engine = Engine::start("fake", fake, bytes, Some(1)).unwrap();
    Setup {
        engine,
        calls,
        permits,
    }
}

impl Setup {
    fn ask(&self, prompt: Vec<u32>, max_tokens: usize, stop: &[&str]) -> TextStream {
        let (events, receiver) = async_channel::unbounded();
        let job = Job {
            prompt,
            sampling: Sampling::default(),
            max_tokens,
            stop: stop.iter().map(|stop| (*stop).to_owned()).collect(),
            events,
            submitted: Instant::now(),
        };
        self.engine.submit(job).unwrap();
        TextStream::new(receiver)
    }

    fn wait_for_calls(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.calls.load(Ordering::SeqCst) < count {
            assert!(
                Instant::now() < deadline,
                "the engine never came to call {count}"
            );
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn collect(stream: TextStream) -> Result<(String, FinishReason, usize)> {
    let mut text = String::new();
    for item in stream {
        match item? {
            StreamItem::Token(_) => (),
            StreamItem::Text(piece) => text.push_str(&piece),
            StreamItem::Done(done) => {
                return Ok((text, done.finish_reason, done.usage.completion_tokens));
            }
        }
    }
    panic!("the stream ended without an end");
}

#[test]
fn an_answer_ends_at_its_length() {
    let answer = collect(start(false).ask(vec![64], 3, &[])).unwrap();
    assert_eq!(answer, ("ABC".to_owned(), FinishReason::Length, 3));
}

#[test]
fn an_answer_ends_at_the_end_token() {
    let answer = collect(start(false).ask(vec![248], 10, &[])).unwrap();
    assert_eq!(answer, ("\u{FFFD}".to_owned(), FinishReason::Stop, 1));
}

#[test]
fn an_answer_ends_before_a_stop_string() {
    let answer = collect(start(false).ask(vec![64], 10, &["DE"])).unwrap();
    assert_eq!(answer, ("ABC".to_owned(), FinishReason::Stop, 5));
}

#[test]
fn held_text_is_delivered_at_the_end() {
    let answer = collect(start(false).ask(vec![64], 4, &["DEF"])).unwrap();
    assert_eq!(answer, ("ABCD".to_owned(), FinishReason::Length, 4));
}

#[test]
fn usage_counts_tokens_and_time() {
    let setup = start(false);
    let prompt = 2 * PREFILL_CHUNK + 88;
    for item in setup.ask(vec![60; prompt], 2, &[]) {
        if let StreamItem::Done(done) = item.unwrap() {
            assert_eq!(
                (done.usage.prompt_tokens, done.usage.completion_tokens),
                (prompt, 2)
            );
            assert!(done.usage.time_to_first_token > Duration::ZERO);
        }
    }
    assert_eq!(
        setup.calls.load(Ordering::SeqCst),
        4,
        "three chunks and one step"
    );
}

#[test]
fn a_panic_a_failure_and_an_overflow_end_one_request_each() {
    let setup = start(false);
    let streams = [PANICS, FAILS, OVERFLOWS, 64].map(|token| setup.ask(vec![token - 1], 3, &[]));
    let [panics, fails, overflows, works] = streams.map(collect);
    match panics.unwrap_err() {
        Error::Panicked { model, message } => {
            assert_eq!((model.as_str(), message.as_str()), ("fake", "token 200"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(fails, Err(Error::Compute { .. })));
    assert!(matches!(overflows, Err(Error::Compute { .. })));
    assert_eq!(works.unwrap().0, "@AB");
}

#[test]
fn a_dropped_stream_cancels_in_the_prompt_while_decoding_and_in_the_queue() {
    let setup = start(true);
    let reading = setup.ask(vec![64; 5 * PREFILL_CHUNK], 10, &[]);
    setup.wait_for_calls(1);
    let queued = setup.ask(vec![64; 5 * PREFILL_CHUNK], 10, &[]);
    drop((reading, queued));
    setup.permits.try_send(()).unwrap();
    let decoding = setup.ask(vec![64], 100, &[]);
    setup.wait_for_calls(2);
    setup.permits.try_send(()).unwrap();
    setup.wait_for_calls(3);
    drop(decoding);
    setup.permits.try_send(()).unwrap();
    let last = setup.ask(vec![64], 1, &[]);
    setup.permits.try_send(()).unwrap();
    assert_eq!(collect(last).unwrap().0, "A");
    assert_eq!(
        setup.calls.load(Ordering::SeqCst),
        4,
        "nothing was computed for nobody"
    );
}

#[test]
fn the_end_of_the_engine_ends_streams() {
    let setup = start(true);
    let running = setup.ask(vec![64; 5 * PREFILL_CHUNK], 10, &[]);
    setup.wait_for_calls(1);
    let queued = setup.ask(vec![64], 10, &[]);
    let Setup {
        engine, permits, ..
    } = setup;
    let stopping = Arc::clone(&engine.stopping);
    let stopper = thread::spawn(move || drop(engine));
    while !stopping.load(Ordering::Relaxed) {
        thread::yield_now();
    }
    permits.close();
    for stream in [running, queued] {
        match collect(stream) {
            Err(Error::EngineStopped { model }) => assert_eq!(model, "fake"),
            other => panic!("{other:?}"),
        }
    }
    stopper.join().unwrap();
}
