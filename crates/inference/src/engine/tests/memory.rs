//! Keys and values: shared where prompts begin alike, given up when memory is short, never wrong.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

fn cached(stream: TextStream) -> (String, usize) {
    let whole = collect(stream).unwrap();
    (whole.text, whole.usage.cached_tokens)
}

#[test]
fn a_follow_up_reads_only_what_is_new() {
    let setup = start(Rule::Hash);
    let mut text: Vec<u32> = (0..700).map(|n| 97 + n % 26).collect();
    let (answer, known) = cached(setup.ask(text.clone(), 50, &[]));
    assert_eq!(known, 0);
    let read = setup.tokens.load(Ordering::SeqCst);
    text.extend(answer.bytes().map(u32::from));
    text.extend([98; 30]);
    let (_, known) = cached(setup.ask(text.clone(), 1, &[]));
    assert_eq!(known, 749, "the last token of the answer was never read");
    assert_eq!(setup.tokens.load(Ordering::SeqCst) - read, 31);
    let (_, known) = cached(setup.ask(text.clone(), 1, &[]));
    assert_eq!(known, text.len() - 1, "one token is read to answer from");
}

#[test]
fn who_is_of_another_scope_takes_nothing_over() {
    let setup = start(Rule::Hash);
    let ask = |scope: Option<&str>| {
        let (mut job, stream) = job(vec![97; 300], 1);
        job.cache_scope = scope.map(Into::into);
        cached(setup.submit((job, stream)))
    };
    let scopes = [None, Some("acme"), Some("zeta")];
    let first = scopes.map(ask);
    let again = scopes.map(ask);
    assert_eq!(first.each_ref().map(|(_, known)| *known), [0; 3]);
    assert_eq!(again.each_ref().map(|(_, known)| *known), [299; 3]);
    assert!(
        first
            .iter()
            .chain(&again)
            .all(|(text, _)| *text == first[0].0)
    );
}

#[test]
fn prompts_that_come_together_share_what_they_begin_with() {
    let setup = start_with(Rule::Hash, true, &options());
    let shared: Vec<u32> = (0..600).map(|n| 97 + n % 25).collect();
    let streams: Vec<_> = (0..8)
        .map(|n| {
            let own = [97 + n; 400];
            setup.ask(shared.iter().copied().chain(own).collect(), 10, &[])
        })
        .collect();
    setup.permits.close();
    let known: Vec<usize> = streams.into_iter().map(|stream| cached(stream).1).collect();
    assert_eq!(known[0], 0);
    assert!(known[1..].iter().all(|known| *known >= 600), "{known:?}");
}

#[test]
fn random_conversations_answer_as_without_a_cache() {
    let plain = start_with(
        Rule::Hash,
        false,
        &EngineOptions {
            prefix_cache: false,
            ..options()
        },
    );
    let small = EngineOptions {
        cache_bytes: Some(40),
        max_batch: 3,
        ..options()
    };
    for options in [options(), small] {
        let mut random = StdRng::seed_from_u64(3);
        let setup = start_with(Rule::Hash, false, &options);
        let mut chats: Vec<Vec<u32>> = vec![Vec::new(); 6];
        let (mut known, mut asked) = (0, 0);
        for turn in 0..60 {
            let number = random.random_range(0..chats.len());
            let mut text = match random.random_bool(0.1) {
                true => chats[random.random_range(0..6)].clone(),
                false => chats[number].clone(),
            };
            let question = random.random_range(1..250);
            text.extend((0..question).map(|_| random.random_range(97..100)));
            text.truncate(1500);
            let most = random.random_range(1..60);
            let request = |setup: &Setup| {
                let (mut job, stream) = job(text.clone(), most);
                job.sampling = sampled(turn);
                setup.submit((job, stream))
            };
            let (answer, reused) = cached(request(&setup));
            assert_eq!(answer, text_of(request(&plain)), "turn {turn}");
            known += reused;
            asked += text.len();
            text.extend(answer.bytes().map(u32::from));
            chats[number] = text;
        }
        assert!(known > asked / 4, "{known} of {asked} tokens were known");
        let budget = setup.engine.budget;
        let kept = setup.blocks.load(Ordering::SeqCst);
        assert!(kept <= budget, "{kept} blocks of {budget}");
    }
}

#[test]
fn memory_stays_within_the_budget_while_many_run() {
    let options = EngineOptions {
        cache_bytes: Some(30),
        ..options()
    };
    let setup = start_with(Rule::Hash, false, &options);
    let streams: Vec<_> = (0..60)
        .map(|n| setup.ask(vec![97 + n % 20; 100 + 20 * n as usize], 30, &[]))
        .collect();
    for stream in streams {
        collect(stream).unwrap();
        let blocks = setup.blocks.load(Ordering::SeqCst);
        assert!(blocks <= 30, "{blocks} blocks");
    }
}

#[test]
fn a_request_that_can_never_fit_is_refused_with_both_numbers() {
    let options = EngineOptions {
        cache_bytes: Some(4),
        ..options()
    };
    let setup = start_with(Rule::Hash, false, &options);
    match setup.engine.submit(job(vec![97; 500], 100).0) {
        Err(Error::CacheTooSmall {
            tokens,
            needed,
            budget,
            ..
        }) => assert_eq!((tokens, needed, budget), (600, 6, 4)),
        other => panic!("{other:?}"),
    }
    assert_eq!(text_of(setup.ask(vec![97; 200], 10, &[])).len(), 10);
}

#[test]
fn a_dropped_stream_frees_its_memory() {
    let options = EngineOptions {
        prefix_cache: false,
        ..options()
    };
    let setup = start_with(Rule::Hash, true, &options);
    let stream = setup.ask(vec![97; 2000], 10, &[]);
    setup.permits.try_send(()).unwrap();
    setup.wait_for_calls(2);
    assert!(setup.blocks.load(Ordering::SeqCst) >= 4);
    drop(stream);
    setup.permits.close();
    wait_until("free memory", || setup.blocks.load(Ordering::SeqCst) == 0);
    wait_until("the figure", || setup.engine.memory_bytes() == 1000);
}
