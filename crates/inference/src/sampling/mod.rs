//! Choosing the next token from the logits.
//!
//! The order is that of the papers and of most libraries: repetition penalty, temperature, softmax,
//! top-k, top-p, min-p, then one draw. Ties are broken by the lower token id, so that an answer
//! depends on the seed and on nothing else.

mod settings;

use std::cmp::Ordering;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{Error, Result};

pub use settings::{Dry, Sampling};

/// Checks every number of a request before any work is done.
///
/// # Errors
///
/// [`Error::InvalidRequest`] naming the first field that is out of range.
pub(crate) fn check(sampling: &Sampling) -> Result<()> {
    let penalty = sampling.repetition_penalty;
    require(
        "temperature",
        sampling.temperature,
        "0 or more, and finite",
        |value| value >= 0.0,
    )?;
    require(
        "repetition_penalty",
        penalty,
        "more than 0, and finite",
        |value| value > 0.0,
    )?;
    if let Some(top_p) = sampling.top_p {
        require("top_p", top_p, "more than 0 and at most 1", |value| {
            value > 0.0 && value <= 1.0
        })?;
    }
    if let Some(min_p) = sampling.min_p {
        require("min_p", min_p, "between 0 and 1", |value| {
            (0.0..=1.0).contains(&value)
        })?;
    }
    if sampling.top_k == Some(0) {
        return Err(Error::InvalidRequest {
            field: "top_k",
            value: "0".to_owned(),
            expected: "1 or more",
        });
    }
    Ok(())
}

fn require(
    field: &'static str,
    value: f32,
    expected: &'static str,
    holds: impl Fn(f32) -> bool,
) -> Result<()> {
    if value.is_finite() && holds(value) {
        return Ok(());
    }
    Err(Error::InvalidRequest {
        field,
        value: value.to_string(),
        expected,
    })
}

/// A token and how likely it is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    token: u32,
    weight: f32,
}

/// Chooses tokens for one request.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    random: StdRng,
}

impl Sampler {
    /// A sampler for a request whose numbers were checked.
    pub(crate) fn new(sampling: Sampling) -> Self {
        let random = match sampling.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_os_rng(),
        };
        Self { sampling, random }
    }

    /// The next token; `seen` holds the prompt and the answer so far.
    pub(crate) fn sample(&mut self, logits: &mut [f32], seen: &[u32]) -> u32 {
        penalise(
            logits,
            recent(seen, self.sampling.repetition_window),
            self.sampling.repetition_penalty,
        );
        if self.sampling.temperature == 0.0 {
            return likeliest(logits);
        }
        let mut candidates = softmax(logits, self.sampling.temperature);
        if let Some(count) = self.sampling.top_k {
            keep_top_k(&mut candidates, count);
        }
        if self.sampling.top_p.is_some() || self.sampling.min_p.is_some() {
            sort_by_weight(&mut candidates);
        }
        if let Some(share) = self.sampling.top_p {
            keep_top_p(&mut candidates, share);
        }
        if let Some(fraction) = self.sampling.min_p {
            keep_min_p(&mut candidates, fraction);
        }
        draw(&candidates, self.random.random())
    }
}

fn recent(seen: &[u32], window: usize) -> &[u32] {
    &seen[seen.len().saturating_sub(window)..]
}

/// Divides positive and multiplies negative logits of the tokens given, each once.
fn penalise(logits: &mut [f32], tokens: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    let mut tokens = tokens.to_vec();
    tokens.sort_unstable();
    tokens.dedup();
    for token in tokens {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
        }
    }
}

fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best as u32
}

/// Probabilities in token order. Dividing after the greatest logit was taken off keeps a tiny
/// temperature from overflowing.
fn softmax(logits: &[f32], temperature: f32) -> Vec<Candidate> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0f64;
    let mut candidates: Vec<Candidate> = logits
        .iter()
        .enumerate()
        .map(|(token, logit)| {
            let weight = ((logit - greatest) / temperature).exp();
            sum += f64::from(weight);
            Candidate {
                token: token as u32,
                weight,
            }
        })
        .collect();
    for candidate in &mut candidates {
        candidate.weight = (f64::from(candidate.weight) / sum) as f32;
    }
    candidates
}

fn by_weight(left: &Candidate, right: &Candidate) -> Ordering {
    right
        .weight
        .total_cmp(&left.weight)
        .then(left.token.cmp(&right.token))
}

fn sort_by_weight(candidates: &mut [Candidate]) {
    candidates.sort_unstable_by(by_weight);
}

fn keep_top_k(candidates: &mut Vec<Candidate>, count: usize) {
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, by_weight);
        candidates.truncate(count);
    }
    sort_by_weight(candidates);
}

/// Keeps the fewest candidates whose share of the weight left reaches `share`; they are sorted.
fn keep_top_p(candidates: &mut Vec<Candidate>, share: f32) {
    let total: f64 = candidates
        .iter()
        .map(|candidate| f64::from(candidate.weight))
        .sum();
    let enough = f64::from(share) * total;
    let mut sum = 0f64;
    let kept = candidates.iter().position(|candidate| {
        sum += f64::from(candidate.weight);
        sum >= enough
    });
    if let Some(last) = kept {
        candidates.truncate(last + 1);
    }
}

/// Keeps candidates at least `fraction` as likely as the first; they are sorted.
fn keep_min_p(candidates: &mut Vec<Candidate>, fraction: f32) {
    let Some(first) = candidates.first() else {
        return;
    };
    let least = first.weight * fraction;
    candidates.retain(|candidate| candidate.weight >= least);
}

/// The candidate in whose stretch of the line from 0 to the sum of weights `position` (in [0, 1))
/// falls.
fn draw(candidates: &[Candidate], position: f64) -> u32 {
    let total: f64 = candidates
        .iter()
        .map(|candidate| f64::from(candidate.weight))
        .sum();
    let target = position * total;
    let mut sum = 0f64;
    for candidate in candidates {
        sum += f64::from(candidate.weight);
        if target < sum {
            return candidate.token;
        }
    }
    let last = candidates
        .iter()
        .rev()
        .find(|candidate| candidate.weight > 0.0);
    last.or(candidates.first())
        .map_or(0, |candidate| candidate.token)
}

#[cfg(test)]
mod tests;
