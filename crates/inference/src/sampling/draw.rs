//! From logits to one token drawn: temperature, softmax, top-k, top-p, min-p, one random number.
//!
//! The filters keep a beginning of the tokens in the order of their logits, so they are ends of that
//! beginning, and what cannot be before the nearest end is never sorted: top-k selects, min-p compares
//! logits, and of top-p's tokens those whose weights all together are less than what it leaves out
//! are not among them.

use super::Sampling;
use super::likeliest::{by_logit, maximum, top};

/// Below this power of e, a weight is zero in single precision.
const NOTHING: f32 = -104.0;

/// Memory that is used again for each token.
#[derive(Debug, Default)]
pub(super) struct Weights {
    weights: Vec<f32>,
}

impl Weights {
    /// The token in whose stretch of the line from 0 to the sum of weights `position` (in [0, 1))
    /// falls.
    pub(super) fn draw(&mut self, sampling: &Sampling, logits: &[f32], position: f64) -> u32 {
        let greatest = maximum(logits);
        let weight = |logit: f32| weight(logit, greatest, sampling.temperature);
        if let Some(count) = sampling.top_k {
            return draw_among(top(logits, count), sampling, position);
        }
        if let Some(share) = sampling.top_p {
            self.weigh_all(logits, weight);
            let total = sum(self.weights.iter().copied());
            let kept = weigh(self.beginning(logits, share, total), weight);
            return draw_filtered(kept, total, sampling, position);
        }
        if let Some(fraction) = sampling.min_p {
            let kept = weigh(
                near(logits, greatest, fraction, sampling.temperature),
                weight,
            );
            let total = sum(kept.iter().map(|(_, weight)| *weight));
            return draw_filtered(kept, total, sampling, position);
        }
        self.weigh_all(logits, weight);
        let numbered = self.weights.iter().zip(0u32..);
        draw_from(numbered.map(|(weight, token)| (token, *weight)), position)
    }

    fn weigh_all(&mut self, logits: &[f32], weight: impl Fn(f32) -> f32) {
        self.weights.clear();
        self.weights.extend(logits.iter().copied().map(weight));
    }

    /// At least the tokens that reach `share` of the total, in order.
    fn beginning(&self, logits: &[f32], share: f32, total: f64) -> Vec<(u32, f32)> {
        // Were all tokens below this, they still had less than half of what may be left out.
        let left_out = (1.0 - f64::from(share)) * total;
        let least = left_out / (2.0 * logits.len() as f64);
        let numbered = logits.iter().zip(0u32..).zip(&self.weights);
        let enough = numbered.filter(|(_, weight)| f64::from(**weight) >= least && **weight > 0.0);
        sorted(enough.map(|((logit, token), _)| (token, *logit)).collect())
    }
}

/// Draws from all that are given, which are in the order of their logits: what top-k has left.
pub(super) fn draw_among(tokens: Vec<(u32, f32)>, sampling: &Sampling, position: f64) -> u32 {
    let greatest = tokens.first().map_or(0.0, |(_, logit)| *logit);
    let kept = weigh(tokens, |logit| {
        weight(logit, greatest, sampling.temperature)
    });
    let total = sum(kept.iter().map(|(_, weight)| *weight));
    draw_filtered(kept, total, sampling, position)
}

/// The power of e that a token's probability is proportional to. Taking the greatest logit off first
/// keeps a tiny temperature from overflowing.
fn weight(logit: f32, greatest: f32, temperature: f32) -> f32 {
    let power = (logit - greatest) / temperature;
    if power < NOTHING { 0.0 } else { power.exp() }
}

/// At least the tokens that are `fraction` as likely as the likeliest, in order.
fn near(logits: &[f32], greatest: f32, fraction: f32, temperature: f32) -> Vec<(u32, f32)> {
    let (greatest, temperature) = (f64::from(greatest), f64::from(temperature));
    // A little less, since a weight is rounded.
    let distance = f64::from(fraction).ln().max(f64::from(NOTHING)) - 1e-3;
    let least = greatest + distance * temperature - greatest.abs() * 1e-6;
    let numbered = logits.iter().zip(0u32..);
    let near = numbered.filter(|(logit, _)| f64::from(**logit) >= least);
    sorted(near.map(|(logit, token)| (token, *logit)).collect())
}

fn sorted(mut tokens: Vec<(u32, f32)>) -> Vec<(u32, f32)> {
    tokens.sort_unstable_by(by_logit);
    tokens
}

/// Weights in the place of logits.
fn weigh(mut tokens: Vec<(u32, f32)>, weight: impl Fn(f32) -> f32) -> Vec<(u32, f32)> {
    for (_, logit) in &mut tokens {
        *logit = weight(*logit);
    }
    tokens
}

/// Draws from the tokens that top-p and min-p leave of those given, which are in order.
fn draw_filtered(
    mut tokens: Vec<(u32, f32)>,
    total: f64,
    sampling: &Sampling,
    position: f64,
) -> u32 {
    if let Some(share) = sampling.top_p {
        keep_top_p(&mut tokens, f64::from(share) * total);
    }
    if let Some(fraction) = sampling.min_p {
        keep_min_p(&mut tokens, fraction);
    }
    draw_from(tokens.into_iter(), position)
}

/// Keeps the fewest tokens whose weights reach `enough`.
fn keep_top_p(tokens: &mut Vec<(u32, f32)>, enough: f64) {
    let mut sum = 0f64;
    let last = tokens.iter().position(|(_, weight)| {
        sum += f64::from(*weight);
        sum >= enough
    });
    if let Some(last) = last {
        tokens.truncate(last + 1);
    }
}

/// Keeps tokens at least `fraction` as likely as the first.
fn keep_min_p(tokens: &mut Vec<(u32, f32)>, fraction: f32) {
    let least = tokens.first().map_or(0.0, |(_, weight)| weight * fraction);
    tokens.retain(|(_, weight)| *weight >= least);
}

/// Never a token without weight, unless none has any.
fn draw_from(tokens: impl Iterator<Item = (u32, f32)> + Clone, position: f64) -> u32 {
    let target = position * sum(tokens.clone().map(|(_, weight)| weight));
    let mut sum = 0f64;
    let mut last = 0;
    for (token, weight) in tokens.filter(|(_, weight)| *weight > 0.0) {
        sum += f64::from(weight);
        last = token;
        if target < sum {
            break;
        }
    }
    last
}

fn sum(weights: impl Iterator<Item = f32>) -> f64 {
    weights.map(f64::from).sum()
}
