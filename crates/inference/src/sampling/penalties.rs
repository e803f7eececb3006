//! Penalties for tokens that the text has already.
//!
//! All of them only take what they must from a few logits, so their cost grows with the text, not
//! with the vocabulary.

use std::collections::HashMap;

use super::{Sampling, Text};
use crate::soft::is_soft;

/// The logits that a penalty can be taken from.
pub(super) trait Logits {
    /// The logit of a token, if it is among them.
    fn of(&mut self, token: u32) -> Option<&mut f32>;
}

impl Logits for [f32] {
    fn of(&mut self, token: u32) -> Option<&mut f32> {
        self.get_mut(token as usize)
    }
}

/// Some tokens with theirs.
impl Logits for [(u32, f32)] {
    fn of(&mut self, token: u32) -> Option<&mut f32> {
        let pair = self.iter_mut().find(|(other, _)| *other == token);
        pair.map(|(_, logit)| logit)
    }
}

/// What the penalties of one request know of its text.
#[derive(Debug, Default)]
pub(super) struct Penalties {
    /// How often each token is in the answer.
    counts: HashMap<u32, u32>,
    /// Tokens of the answer that were counted.
    counted: usize,
    /// By token, the last round in which it was penalised; so that each is, once a round.
    rounds: Vec<u32>,
    round: u32,
}

impl Penalties {
    /// Applies repetition, frequency and presence penalties.
    pub(super) fn apply(
        &mut self,
        sampling: &Sampling,
        text: Text<'_>,
        logits: &mut (impl Logits + ?Sized),
    ) {
        if sampling.repetition_penalty != 1.0 {
            let recent = recent(text.tokens, sampling.repetition_window);
            self.penalise_repetition(recent, sampling.repetition_penalty, logits);
        }
        if sampling.frequency_penalty != 0.0 || sampling.presence_penalty != 0.0 {
            self.count(text.answer());
            self.penalise_answer(sampling, logits);
        }
    }

    /// Divides positive and multiplies negative logits of the tokens given, each once.
    fn penalise_repetition(
        &mut self,
        tokens: &[u32],
        penalty: f32,
        logits: &mut (impl Logits + ?Sized),
    ) {
        self.begin_round();
        for token in tokens {
            let Some(logit) = logits.of(*token) else {
                continue;
            };
            if !self.is_first_of_round(*token as usize) {
                continue;
            }
            let penalised = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
            *logit = finite(penalised);
        }
    }

    fn begin_round(&mut self) {
        if self.round == u32::MAX {
            self.rounds.clear();
            self.round = 0;
        }
        self.round += 1;
    }

    /// Whether a token of the vocabulary was not seen in this round.
    fn is_first_of_round(&mut self, token: usize) -> bool {
        if token >= self.rounds.len() {
            self.rounds.resize(token + 1, 0);
        }
        let last = std::mem::replace(&mut self.rounds[token], self.round);
        last != self.round
    }

    /// Counts what the answer has got since the last call. An answer only grows.
    fn count(&mut self, answer: &[u32]) {
        if answer.len() < self.counted {
            self.counts.clear();
            self.counted = 0;
        }
        for token in &answer[self.counted..] {
            *self.counts.entry(*token).or_default() += 1;
        }
        self.counted = answer.len();
    }

    fn penalise_answer(&self, sampling: &Sampling, logits: &mut (impl Logits + ?Sized)) {
        for (token, count) in &self.counts {
            if let Some(logit) = logits.of(*token) {
                let frequency = sampling.frequency_penalty * *count as f32;
                *logit = finite(*logit - frequency - sampling.presence_penalty);
            }
        }
    }
}

/// Adds to the logits of some tokens.
pub(super) fn add_bias(biases: &[(u32, f32)], logits: &mut [f32]) {
    for (token, bias) in biases {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit = finite(*logit + bias);
        }
    }
}

/// Keeps a logit finite: two infinite ones would have no difference, and an infinitely unlikely token
/// would look forbidden.
pub(super) fn finite(logit: f32) -> f32 {
    logit.clamp(f32::MIN, f32::MAX)
}

/// The last tokens with `window` words among them, or as many as there are: a picture does not push
/// the words before it out.
pub(super) fn recent(tokens: &[u32], window: usize) -> &[u32] {
    let mut words = 0;
    let before = tokens.iter().rposition(|token| {
        words += usize::from(!is_soft(*token));
        words > window
    });
    &tokens[before.map_or(0, |before| before + 1)..]
}
