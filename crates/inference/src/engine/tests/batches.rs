//! Many requests at once: nobody's answer depends on who else is there.

use std::sync::Mutex;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

fn random_prompt(random: &mut StdRng, most: usize) -> Vec<u32> {
    let length = random.random_range(1..=most);
    (0..length).map(|_| random.random_range(97..123)).collect()
}

#[test]
fn answers_are_the_same_alone_and_in_any_company() {
    let mut random = StdRng::seed_from_u64(1);
    let prompts: Vec<_> = (0..40).map(|_| random_prompt(&mut random, 900)).collect();
    let ask = |setup: &Setup, number: usize| {
        let (mut job, stream) = job(prompts[number].clone(), 5 + number);
        job.sampling = sampled(number as u64);
        setup.submit((job, stream))
    };
    let alone: Vec<String> = (0..prompts.len())
        .map(|number| text_of(ask(&start(Rule::Hash), number)))
        .collect();
    for options in [
        options(),
        EngineOptions {
            max_batch: 7,
            chunk_tokens: 100,
            speculation: false,
            ..options()
        },
        EngineOptions {
            prefix_cache: false,
            ..options()
        },
    ] {
        let setup = start_with(Rule::Hash, false, &options);
        let streams: Vec<_> = (0..prompts.len())
            .map(|number| ask(&setup, number))
            .collect();
        let together: Vec<String> = streams.into_iter().map(text_of).collect();
        assert_eq!(alone, together, "{options:?}");
    }
}

#[test]
fn a_step_holds_every_answer_and_at_most_a_chunk_of_prompts() {
    let options = EngineOptions {
        chunk_tokens: 50,
        speculation: false,
        ..options()
    };
    let setup = start_with(Rule::Hash, true, &options);
    let short: Vec<_> = (0..5)
        .map(|start| setup.ask(vec![97 + start], 40, &[]))
        .collect();
    let long = setup.ask(vec![98; 1000], 1, &[]);
    setup.permits.close();
    short.into_iter().for_each(|stream| drop(text_of(stream)));
    text_of(long);
    let most = setup.most.load(Ordering::SeqCst);
    assert!(most <= 100, "a step had {most} tokens");
}

#[test]
fn a_long_prompt_does_not_hold_up_a_running_answer() {
    let setup = start_with(Rule::Alphabet, true, &options());
    let mut running = setup.ask(vec![97], 300, &[]);
    setup.permits.try_send(()).unwrap();
    let next = |stream: &mut TextStream| stream.next().unwrap().unwrap();
    assert_eq!(next(&mut running), StreamItem::Text("b".to_owned()));
    setup.wait_for_calls(2);
    let long = setup.ask(vec![98; 3000], 1, &[]);
    let chunk = options().chunk_tokens;
    for _ in 0..3000 / chunk {
        setup.permits.try_send(()).unwrap();
        assert!(matches!(next(&mut running), StreamItem::Text(_)));
    }
    setup.permits.close();
    text_of(long);
    text_of(running);
}

#[test]
fn guesses_change_the_number_of_steps_and_nothing_else() {
    let prompt: Vec<u32> = (97..123).chain(97..123).collect();
    let answer = |speculation| {
        let options = EngineOptions {
            speculation,
            ..options()
        };
        let setup = start_with(Rule::Alphabet, false, &options);
        let whole = collect(setup.ask(prompt.clone(), 500, &["zabz"])).unwrap();
        (whole, setup.calls.load(Ordering::SeqCst))
    };
    let (plain, plain_steps) = answer(false);
    let (guessed, steps) = answer(true);
    assert_eq!(plain.text, guessed.text);
    assert_eq!((plain.text.len(), plain_steps), (500, 500));
    assert!(steps < 300, "{steps} steps");
    let usage = guessed.usage;
    assert!(usage.accepted_tokens > 200 && usage.accepted_tokens <= usage.drafted_tokens);
    assert_eq!(usage.completion_tokens, 500);
    assert_eq!(
        (plain.usage.drafted_tokens, plain.usage.accepted_tokens),
        (0, 0)
    );
}

#[test]
fn guesses_leave_samples_as_they_are() {
    let mut random = StdRng::seed_from_u64(2);
    let prompt = random_prompt(&mut random, 300);
    for seed in 0..20 {
        let answers = [false, true].map(|speculation| {
            let options = EngineOptions {
                speculation,
                ..options()
            };
            let setup = start_with(Rule::Alphabet, false, &options);
            let (mut job, stream) = job(prompt.clone(), 200);
            job.sampling = Sampling {
                temperature: 0.25,
                ..sampled(seed)
            };
            text_of(setup.submit((job, stream)))
        });
        assert_eq!(answers[0], answers[1], "seed {seed}");
    }
}

/// Remembers all that it is told.
#[derive(Default)]
struct Memory {
    steps: Mutex<Vec<StepFigures>>,
    requests: Mutex<Vec<RequestFigures>>,
}

impl EngineMetrics for Memory {
    fn step(&self, model: &str, figures: &StepFigures) {
        assert_eq!(model, "fake");
        self.steps.lock().unwrap().push(*figures);
    }

    fn request(&self, _: &str, figures: &RequestFigures) {
        self.requests.lock().unwrap().push(*figures);
    }
}

#[test]
fn metrics_add_up_to_what_was_done() {
    let memory = Arc::new(Memory::default());
    let options = EngineOptions {
        metrics: Some(Arc::clone(&memory) as Arc<dyn EngineMetrics>),
        queue_limit: 9,
        max_batch: 4,
        ..options()
    };
    let setup = start_with(Rule::Hash, true, &options);
    let streams: Vec<_> = (0..9)
        .map(|n| setup.ask(vec![97 + n; 300], 20, &[]))
        .collect();
    let refused = (0..20).filter(|_| setup.engine.submit(job(vec![97], 1).0).is_err());
    assert!(refused.count() >= 11);
    setup.permits.close();
    let wholes: Vec<Whole> = streams
        .into_iter()
        .map(|stream| collect(stream).unwrap())
        .collect();
    drop(setup.engine);
    let requests = memory.requests.lock().unwrap();
    let with = |outcome| {
        requests
            .iter()
            .filter(move |request| request.outcome == outcome)
    };
    assert!(with(Outcome::Complete).count() >= 9);
    assert!(with(Outcome::Refused).count() >= 11);
    let steps = memory.steps.lock().unwrap();
    let sum = |of: fn(&StepFigures) -> usize| steps.iter().map(of).sum::<usize>();
    let answered: usize = with(Outcome::Complete)
        .map(|request| request.usage.completion_tokens)
        .sum();
    assert_eq!(sum(|step| step.chosen_tokens), answered);
    assert!(
        steps
            .iter()
            .any(|step| step.running == 4 && step.waiting > 0)
    );
    assert!(
        steps
            .iter()
            .all(|step| step.running <= 4 && step.decoding <= 4)
    );
    assert!(
        wholes
            .iter()
            .any(|whole| whole.usage.queue_time > Duration::ZERO)
    );
    assert!(sum(|step| step.prompt_tokens) >= 2400);
}
