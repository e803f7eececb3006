//! The order of the whole, done in the slowest way: everything sorted, nothing left out early.

use super::super::{Dry, Sampling, Text};

/// The logits after bias and penalties, token by token.
pub(super) fn adjusted(
    sampling: &Sampling,
    logits: &[f32],
    text: Text<'_>,
    breaks: &dyn Fn(u32) -> bool,
) -> Vec<f32> {
    let recent = &text.tokens[text.tokens.len().saturating_sub(sampling.repetition_window)..];
    let answer = &text.tokens[text.prompt..];
    let of = |(token, logit): (u32, &f32)| {
        let mut logit = *logit;
        for (biased, bias) in &sampling.logit_bias {
            logit += if *biased == token { *bias } else { 0.0 };
        }
        if recent.contains(&token) {
            logit = if logit > 0.0 {
                logit / sampling.repetition_penalty
            } else {
                logit * sampling.repetition_penalty
            };
        }
        let count = answer.iter().filter(|other| **other == token).count();
        if count > 0 {
            logit = logit - sampling.frequency_penalty * count as f32 - sampling.presence_penalty;
        }
        match &sampling.dry {
            Some(dry) => logit - dry_penalty(dry, text.tokens, token, breaks),
            None => logit,
        }
    };
    (0..).zip(logits).map(of).collect()
}

/// Compares each stretch of the window with its end.
fn dry_penalty(dry: &Dry, tokens: &[u32], token: u32, breaks: &dyn Fn(u32) -> bool) -> f32 {
    let window = &tokens[tokens.len().saturating_sub(dry.window)..];
    let mut longest = 0;
    for end in 0..window.len() {
        if window[end] != token || breaks(token) {
            continue;
        }
        let before = window[..end].iter().rev();
        let pairs = before.zip(window.iter().rev());
        let same = pairs.take_while(|(left, right)| left == right && !breaks(**left));
        longest = longest.max(same.count());
    }
    if longest < dry.allowed_length {
        return 0.0;
    }
    dry.multiplier * dry.base.powf((longest - dry.allowed_length) as f32)
}

/// The tokens that the filters leave with their probabilities, likeliest first.
pub(super) fn filtered(sampling: &Sampling, logits: &[f32]) -> Vec<(u32, f64)> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut order: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
    order.sort_by(|left, right| {
        right
            .1
            .partial_cmp(&left.1)
            .unwrap()
            .then(left.0.cmp(&right.0))
    });
    let weights = order.into_iter().map(|(token, logit)| {
        let power = (logit - greatest) / sampling.temperature;
        (token, f64::from(power.exp()))
    });
    let mut kept: Vec<(u32, f64)> = weights.collect();
    kept.truncate(sampling.top_k.unwrap_or(usize::MAX));
    let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
    if let Some(share) = sampling.top_p {
        let mut sum = 0.0;
        let wanted = kept.iter().take_while(|(_, weight)| {
            let goes_on = sum < f64::from(share) * total;
            sum += weight;
            goes_on
        });
        let wanted = wanted.count();
        kept.truncate(wanted);
    }
    if let Some(fraction) = sampling.min_p {
        let least = kept[0].1 as f32 * fraction;
        kept.retain(|(_, weight)| *weight as f32 >= least);
    }
    kept.retain(|(_, weight)| *weight > 0.0);
    let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
    kept.iter()
        .map(|(token, weight)| (*token, weight / total))
        .collect()
}
