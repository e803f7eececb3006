//! How answers end: whole, cut short, unwanted, failed.

use super::fake::{FAILS, OVERFLOWS, PANICS};
use super::*;

fn short(stream: TextStream) -> (String, FinishReason, usize) {
    let whole = collect(stream).unwrap();
    (
        whole.text,
        whole.finish_reason,
        whole.usage.completion_tokens,
    )
}

#[test]
fn an_answer_ends_at_its_length() {
    let answer = short(start(Rule::Successor).ask(vec![64], 3, &[]));
    assert_eq!(answer, ("ABC".to_owned(), FinishReason::Length, 3));
}

#[test]
fn an_answer_ends_at_the_end_token() {
    let answer = short(start(Rule::Successor).ask(vec![248], 10, &[]));
    assert_eq!(answer, ("\u{FFFD}".to_owned(), FinishReason::Stop, 1));
}

#[test]
fn an_answer_ends_before_a_stop_token() {
    let setup = start(Rule::Successor);
    let (mut job, stream) = job(vec![64], 10);
    job.stop_tokens = vec![67, 99];
    let answer = short(setup.submit((job, stream)));
    assert_eq!(answer, ("AB".to_owned(), FinishReason::Stop, 2));
}

#[test]
fn an_answer_ends_before_a_stop_string() {
    let answer = short(start(Rule::Successor).ask(vec![64], 10, &["DE"]));
    assert_eq!(answer, ("ABC".to_owned(), FinishReason::Stop, 5));
}

#[test]
fn held_text_is_delivered_at_the_end() {
    let answer = short(start(Rule::Successor).ask(vec![64], 4, &["DEF"]));
    assert_eq!(answer, ("ABCD".to_owned(), FinishReason::Length, 4));
}

#[test]
fn tokens_are_reported_before_their_text() {
    let setup = start(Rule::Successor);
    let (mut job, stream) = job(vec![64], 2);
    job.top_logprobs = Some(2);
    let items: Vec<StreamItem> = setup.submit((job, stream)).map(Result::unwrap).collect();
    let [StreamItem::Token(token), StreamItem::Text(text), ..] = &items[..] else {
        panic!("{items:?}");
    };
    assert_eq!(
        (text.as_str(), token.chosen.bytes.as_slice()),
        ("A", b"A".as_slice())
    );
    assert_eq!((token.top.len(), token.top[0].token), (2, 65));
    let share = 1f32.exp() / (1f32.exp() + 255.0);
    assert!((token.chosen.logprob - share.ln()).abs() < 1e-5);
}

#[test]
fn a_panic_a_failure_and_an_overflow_end_one_request_each() {
    let setup = start(Rule::Successor);
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
    assert_eq!(works.unwrap().text, "@AB");
}

#[test]
fn a_dropped_stream_cancels_in_the_prompt_while_decoding_and_in_the_queue() {
    let options = EngineOptions {
        max_batch: 1,
        prefix_cache: false,
        ..options()
    };
    let setup = start_with(Rule::Successor, true, &options);
    let chunk = 2 * options.chunk_tokens;
    let reading = setup.ask(vec![64; 5 * chunk], 10, &[]);
    setup.wait_for_calls(1);
    let queued = setup.ask(vec![64; 5 * chunk], 10, &[]);
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
    assert_eq!(text_of(last), "A");
    assert_eq!(
        setup.calls.load(Ordering::SeqCst),
        4,
        "nothing was computed for nobody"
    );
    // The end is told a moment before its memory is dropped.
    wait_until("free memory", || setup.blocks.load(Ordering::SeqCst) == 0);
}

#[test]
fn the_end_of_the_engine_ends_streams() {
    let setup = start_with(Rule::Successor, true, &options());
    let running = setup.ask(vec![64; 2000], 10, &[]);
    setup.wait_for_calls(1);
    let queued = setup.ask(vec![64], 10, &[]);
    let Setup {
        engine, permits, ..
    } = setup;
    let shared = Arc::clone(&engine.shared);
    let stopper = thread::spawn(move || drop(engine));
    while !shared.stopping.load(Ordering::Relaxed) {
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

#[test]
fn a_request_more_than_may_wait_is_refused() {
    let options = EngineOptions {
        max_batch: 1,
        queue_limit: 3,
        ..options()
    };
    let setup = start_with(Rule::Successor, true, &options);
    let running = setup.ask(vec![64], 1, &[]);
    setup.wait_for_calls(1);
    let waiting = [(); 3].map(|()| setup.ask(vec![64], 1, &[]));
    for _ in 0..10_000 {
        match setup.engine.submit(job(vec![64], 1).0) {
            Err(Error::QueueFull { model, waiting }) => {
                assert_eq!((model.as_str(), waiting), ("fake", 3));
            }
            other => panic!("{other:?}"),
        }
    }
    setup.permits.close();
    assert_eq!(text_of(running), "A");
    assert_eq!(waiting.map(text_of), ["A"; 3]);
    assert_eq!(text_of(setup.ask(vec![64], 1, &[])), "A");
}

#[test]
fn options_of_zero_are_refused() {
    let bytes = Arc::new(Bytes(Vec::new()));
    let fake = || Fake {
        rule: Rule::Successor,
        calls: Arc::default(),
        tokens: Arc::default(),
        most: Arc::default(),
        blocks: Arc::default(),
        permits: None,
    };
    type Spoil = fn(&mut EngineOptions);
    let cases: [(&str, Spoil); 4] = [
        ("max_batch", |options| options.max_batch = 0),
        ("queue_limit", |options| options.queue_limit = 0),
        ("chunk_tokens", |options| options.chunk_tokens = 0),
        ("cache_bytes", |options| options.cache_bytes = Some(0)),
    ];
    for (name, spoil) in cases {
        let mut options = options();
        spoil(&mut options);
        match Engine::start("fake", fake(), Arc::clone(&bytes), None, CONTEXT, &options) {
            Err(Error::InvalidRequest { field, .. }) => assert_eq!(field, name),
            other => panic!("{other:?}"),
        }
    }
}
