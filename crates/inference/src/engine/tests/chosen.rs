//! A model that gives requests no more than they need: nobody can tell.

use super::fake::{FakeCache, OVERFLOWS};
use super::*;
use crate::Dry;
use crate::error::ComputeError;
use crate::sampling::by_logit;

/// The fake model, giving the greatest logits to those who need no others.
struct Choosing {
    fake: Fake,
    /// Rows that it gave whole, and rows of which it gave some logits.
    given: Arc<[AtomicUsize; 2]>,
}

impl LanguageModel for Choosing {
    type Cache = FakeCache;

    fn new_cache(&self, tokens: usize) -> FakeCache {
        self.fake.new_cache(tokens)
    }

    fn cache_kind(&self, tokens: usize) -> u64 {
        self.fake.cache_kind(tokens)
    }

    fn step(&self, parts: &mut [Part<'_, FakeCache>]) -> Result<Vec<f32>, ComputeError> {
        self.fake.step(parts)
    }

    fn scores(&self, parts: &mut [Part<'_, FakeCache>]) -> Result<Vec<Scores>, ComputeError> {
        let scores = self.fake.scores(parts)?;
        let given = parts.iter().zip(scores).map(|(part, scores)| {
            let scores = match (part.needed, scores) {
                (Needed::Greatest(count), Scores::Logits(logits)) => greatest(logits, count),
                (_, scores) => scores,
            };
            let is_some = matches!(scores, Scores::Greatest(_));
            self.given[usize::from(is_some)].fetch_add(part.logits, Ordering::SeqCst);
            scores
        });
        Ok(given.collect())
    }

    fn block_bytes(&self) -> usize {
        self.fake.block_bytes()
    }

    fn cache_bytes(&self) -> usize {
        self.fake.cache_bytes()
    }

    fn weight_bytes(&self) -> usize {
        self.fake.weight_bytes()
    }
}

fn greatest(logits: Vec<f32>, count: usize) -> Scores {
    if logits.is_empty() || !logits.iter().all(|logit| logit.is_finite()) {
        return Scores::Logits(logits);
    }
    let rows = logits.chunks(fake::VOCABULARY).map(|row| {
        let mut tokens: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
        tokens.sort_by(by_logit);
        tokens.truncate(count);
        tokens
    });
    Scores::Greatest(rows.collect())
}

/// What became of the jobs, asked together, and how many rows were given whole and in part.
fn answers(
    rule: Rule,
    chooses: bool,
    jobs: Vec<(Job, TextStream)>,
) -> (Vec<Result<Whole>>, [usize; 2]) {
    let fake = Fake {
        rule,
        calls: Arc::default(),
        tokens: Arc::default(),
        most: Arc::default(),
        blocks: Arc::default(),
        permits: None,
    };
    let bytes = Arc::new(Bytes((0..=255).map(|byte| [byte]).collect()));
    let options = EngineOptions {
        chunk_tokens: 64,
        ..options()
    };
    let given = Arc::new([0, 0].map(AtomicUsize::new));
    let engine = match chooses {
        true => {
            let given = Arc::clone(&given);
            let model = Choosing { fake, given };
            Engine::start("fake", model, bytes, Some(1), CONTEXT, &options)
        }
        false => Engine::start("fake", fake, bytes, Some(1), CONTEXT, &options),
    };
    let engine = engine.unwrap();
    let mut streams = Vec::new();
    for (job, stream) in jobs {
        engine.submit(job).unwrap();
        streams.push(stream);
    }
    let answers = streams.into_iter().map(collect).collect();
    let given = [0, 1].map(|kind| given[kind].load(Ordering::SeqCst));
    (answers, given)
}

/// Requests of all kinds: those that need one logit, several, and all.
fn mixture(seed: u64) -> Vec<(Job, TextStream)> {
    let changes: [fn(&mut Job); 9] = [
        |_| (),
        |job| job.sampling.repetition_penalty = 1.05,
        |job| job.sampling.top_k = Some(4),
        |job| {
            job.sampling.top_k = Some(30);
            job.sampling.top_p = Some(0.8);
            job.sampling.presence_penalty = 0.4;
        },
        |job| job.sampling.top_p = Some(0.9),
        |job| job.top_logprobs = Some(3),
        |job| job.sampling.dry = Some(Dry::default()),
        |job| job.sampling.logit_bias = vec![(99, 2.0)],
        |job| job.prompt = (0..500).map(|at| 97 + at % 19).collect(),
    ];
    let jobs = changes.iter().zip(0..).map(|(change, number)| {
        let (mut job, stream) = job(vec![97 + number; 3 + number as usize], 40);
        job.sampling.seed = Some(seed);
        if number > 1 && number < 5 {
            job.sampling.temperature = 0.8;
        }
        change(&mut job);
        (job, stream)
    });
    jobs.collect()
}

fn texts(answers: Vec<Result<Whole>>) -> Vec<String> {
    answers
        .into_iter()
        .map(|answer| answer.unwrap().text)
        .collect()
}

#[test]
fn answers_are_the_same_whatever_is_given() {
    for (rule, seed) in [(Rule::Hash, 1), (Rule::Hash, 2), (Rule::Alphabet, 3)] {
        let (expected, _) = answers(rule, false, mixture(seed));
        let (found, [whole, some]) = answers(rule, true, mixture(seed));
        assert_eq!(texts(found), texts(expected), "{rule:?}");
        assert!(whole >= 4 * 40 && some >= 5 * 40, "{whole}, {some}");
    }
}

#[test]
fn guesses_are_checked_with_the_greatest() {
    let prompt: Vec<u32> = (97..123).chain(97..123).collect();
    let (found, [whole, some]) = answers(Rule::Alphabet, true, vec![job(prompt, 500)]);
    let whole_answer = found.into_iter().next().unwrap().unwrap();
    let alphabet: String = ('a'..='z').cycle().take(500).collect();
    assert_eq!(whole_answer.text, alphabet);
    let usage = whole_answer.usage;
    assert!(usage.accepted_tokens > 200, "{usage:?}");
    assert_eq!(whole, 0);
    assert!(some >= 500, "{some}");
}

#[test]
fn an_overflow_ends_its_own_request() {
    let jobs = [OVERFLOWS - 2, 64, 70].map(|token| job(vec![token], 6));
    let (found, [_, some]) = answers(Rule::Successor, true, jobs.into());
    let [overflows, first, second] = found.try_into().unwrap();
    assert!(matches!(overflows, Err(Error::Compute { .. })));
    let texts = [first, second].map(|answer| answer.unwrap().text);
    assert_eq!(texts, ["ABCDEF", "GHIJKL"]);
    assert!(some >= 12);
}
