//! What a client does next, at random: a request, and how its answer is read.

use std::time::Duration;

use anyhow::{Result, ensure};
use longtrainer_inference::{Dry, GenerateRequest, Message, Role, Sampling};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Different questions that are asked again and again.
const REPEATED: usize = 24;
/// Words that the text has at least.
const LEAST_WORDS: usize = 1000;
/// Tokens that the template and the longest answer take.
const RESERVED: usize = 192;
/// Most tokens of the longest answer.
const MOST_TOKENS: usize = 128;
/// Strings that often come in an English answer.
const STOPS: [&str; 6] = [". ", "\n", " the ", " and", "?", "ing "];

/// A request and what becomes of it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) request: GenerateRequest,
    pub(crate) kind: Kind,
    pub(crate) reader: Reader,
}

/// What is known of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Fresh,
    /// It must be what it was before; the number of the question.
    Repeated(usize),
    /// There must be none.
    Wrong,
}

/// How an answer is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reader {
    /// To the end, with so long a pause after each piece.
    ToTheEnd(Duration),
    /// Not at all; leaves after so long.
    Leaves(Duration),
    /// So many pieces, then leaves.
    LeavesAfter(usize),
}

/// Draws plans.
#[derive(Debug)]
pub(crate) struct Planner {
    words: Vec<String>,
    /// Words of the longest prompt, which surely fits.
    most_words: usize,
    repeated: Vec<GenerateRequest>,
}

impl Planner {
    /// A planner for a model of this context length.
    pub(crate) fn new(text: &str, context_length: usize, seed: u64) -> Result<Self> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        ensure!(
            words.len() >= LEAST_WORDS,
            "the text has {} words; {LEAST_WORDS} are needed",
            words.len()
        );
        let mut planner = Self {
            // A chat has up to 1.75 times these words, and a word of Markdown up to 3 tokens.
            most_words: (context_length.saturating_sub(RESERVED) / 8).clamp(8, 1000),
            words,
            repeated: Vec::new(),
        };
        let mut random = StdRng::seed_from_u64(seed);
        planner.repeated = (0..REPEATED)
            .map(|_| planner.reproducible(&mut random))
            .collect();
        ensure!(
            context_length >= 256,
            "a context of {context_length} tokens is too short; 256 are needed"
        );
        Ok(planner)
    }

    /// The next plan.
    pub(crate) fn next(&self, random: &mut StdRng, context_length: usize) -> Plan {
        let (request, kind) = match random.random_range(0..100) {
            0..55 => (self.fresh(random), Kind::Fresh),
            55..95 => {
                let number = random.random_range(0..self.repeated.len());
                (self.repeated[number].clone(), Kind::Repeated(number))
            }
            _ => (self.wrong(random, context_length), Kind::Wrong),
        };
        Plan {
            request,
            kind,
            reader: reader(random),
        }
    }

    fn fresh(&self, random: &mut StdRng) -> GenerateRequest {
        GenerateRequest {
            sampling: sampling(random),
            stop: stops(random),
            ..GenerateRequest::new(self.messages(random), log_uniform(random, 1, MOST_TOKENS))
        }
    }

    /// A request whose answer is always the same: greedy, or drawn with a seed.
    fn reproducible(&self, random: &mut StdRng) -> GenerateRequest {
        let mut request = self.fresh(random);
        match random.random_bool(0.6) {
            true => request.sampling = Sampling::default(),
            false => request.sampling.seed = Some(random.random()),
        }
        request
    }

    fn wrong(&self, random: &mut StdRng, context_length: usize) -> GenerateRequest {
        let mut request = self.fresh(random);
        match random.random_range(0..6) {
            0 => request.max_tokens = 0,
            1 => request.stop.push(String::new()),
            2 => request.sampling.temperature = f32::NAN,
            3 => request.sampling.top_p = Some(1.5),
            4 => request.messages.clear(),
            _ => {
                // A word is one token at least.
                let endless = self.words.iter().cycle().take(context_length);
                let text = endless.map(String::as_str).collect::<Vec<_>>().join(" ");
                request.messages = vec![Message::new(Role::User, text)];
            }
        }
        request
    }

    /// A chat of one to five messages, of which the first may be a system message.
    fn messages(&self, random: &mut StdRng) -> Vec<Message> {
        let turns = random.random_range(0..3);
        let words = log_uniform(random, 2, self.most_words) / (turns + 1) + 1;
        let mut messages = Vec::new();
        if random.random_bool(0.5) {
            messages.push(Message::new(Role::System, self.beginning(random)));
        }
        for _ in 0..turns {
            messages.push(Message::new(Role::User, self.piece(random, words)));
            messages.push(Message::new(
                Role::Assistant,
                self.piece(random, words / 2 + 1),
            ));
        }
        messages.push(Message::new(Role::User, self.piece(random, words)));
        messages
    }

    /// One of a few beginnings of the text, so that many prompts begin alike.
    fn beginning(&self, random: &mut StdRng) -> String {
        let words = self.most_words / random.random_range(4..8);
        self.words[..words.clamp(1, self.words.len())].join(" ")
    }

    fn piece(&self, random: &mut StdRng, words: usize) -> String {
        let words = words.min(self.words.len());
        let start = random.random_range(0..=self.words.len() - words);
        self.words[start..start + words].join(" ")
    }
}

fn reader(random: &mut StdRng) -> Reader {
    match random.random_range(0..100) {
        0..60 => Reader::ToTheEnd(Duration::ZERO),
        60..70 => Reader::ToTheEnd(Duration::from_millis(random.random_range(1..150))),
        70..74 => Reader::Leaves(Duration::ZERO),
        74..88 => Reader::Leaves(Duration::from_millis(log_uniform(random, 1, 5000) as u64)),
        _ => Reader::LeavesAfter(log_uniform(random, 1, 60)),
    }
}

fn sampling(random: &mut StdRng) -> Sampling {
    if random.random_bool(0.4) {
        return Sampling::default();
    }
    Sampling {
        temperature: random.random_range(0.1..2.0),
        top_k: maybe(random, |random| random.random_range(1..100)),
        top_p: maybe(random, |random| random.random_range(0.05..=1.0)),
        min_p: maybe(random, |random| random.random_range(0.0..0.3)),
        repetition_penalty: maybe(random, |random| random.random_range(1.0..1.5)).unwrap_or(1.0),
        frequency_penalty: maybe(random, |random| random.random_range(-0.5..1.5)).unwrap_or(0.0),
        presence_penalty: maybe(random, |random| random.random_range(-0.5..1.5)).unwrap_or(0.0),
        dry: maybe(random, |_| Dry::default()),
        seed: maybe(random, |random| random.random()),
        ..Sampling::default()
    }
}

fn stops(random: &mut StdRng) -> Vec<String> {
    let count = [0, 0, 0, 1, 2][random.random_range(0..5)];
    (0..count)
        .map(|_| STOPS[random.random_range(0..STOPS.len())].to_owned())
        .collect()
}

fn maybe<T>(random: &mut StdRng, draw: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    random.random_bool(0.3).then(|| draw(random))
}

/// Numbers of every size alike often: as many from 1 to 10 as from 10 to 100.
fn log_uniform(random: &mut StdRng, least: usize, most: usize) -> usize {
    let exponent = random.random_range((least as f64).ln()..=(most as f64).ln());
    (exponent.exp().round() as usize).clamp(least, most)
}
