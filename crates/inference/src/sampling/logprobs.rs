//! The model's own log probabilities, before anything else chooses among its tokens.

use super::likeliest::{maximum, top};

/// Log probabilities of one place in the text.
#[derive(Debug)]
pub(super) struct Logprobs {
    /// What each logit is lowered by: the logarithm of the sum of their powers of e.
    lowered_by: f64,
    /// The likeliest tokens and their log probabilities.
    pub(super) top: Vec<(u32, f32)>,
}

impl Logprobs {
    /// Reads the logits before they are changed.
    pub(super) fn new(logits: &[f32], count: usize) -> Self {
        let greatest = f64::from(maximum(logits));
        let powers = logits.iter().map(|logit| f64::from(*logit) - greatest);
        let lowered_by = greatest + powers.map(f64::exp).sum::<f64>().ln();
        let likeliest = top(logits, count).into_iter();
        let top = likeliest.map(|(token, logit)| (token, lowered(logit, lowered_by)));
        Self {
            lowered_by,
            top: top.collect(),
        }
    }

    /// The log probability of a token with this logit.
    pub(super) fn of(&self, logit: f32) -> f32 {
        lowered(logit, self.lowered_by)
    }
}

fn lowered(logit: f32, by: f64) -> f32 {
    // A probability is not more than 1, however the sum was rounded.
    (f64::from(logit) - by).min(0.0) as f32
}
