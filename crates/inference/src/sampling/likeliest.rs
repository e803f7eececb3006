//! The greatest logits, found without sorting them all. Of equal ones the lower token comes first.

use std::cmp::Ordering;

/// Logits that are looked at together.
const LANES: usize = 16;
/// Logits whose greatest is found before it is compared with that of the others.
const BLOCK: usize = 64 * LANES;

/// The token of the greatest logit, in one pass.
pub(crate) fn likeliest(logits: &[f32]) -> u32 {
    let (mut greatest, mut block) = (f32::NEG_INFINITY, 0);
    for (index, logits) in logits.chunks(BLOCK).enumerate() {
        let candidate = maximum(logits);
        if candidate > greatest {
            (greatest, block) = (candidate, index);
        }
    }
    let start = block * BLOCK;
    let inside = logits.iter().skip(start).take(BLOCK);
    let offset = inside.into_iter().position(|logit| *logit == greatest);
    (start + offset.unwrap_or(0)) as u32
}

/// The greatest logit.
pub(super) fn maximum(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane = if *logit > *lane { *logit } else { *lane };
        }
    }
    let all = lanes.iter().chain(rest);
    all.copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The `count` tokens of the greatest logits with their logits, the greatest first; fewer if there
/// are fewer that are possible at all.
pub(super) fn top(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    if count == 0 {
        return Vec::new();
    }
    // Whatever is not greater than the last of the best so far is none of the best: at a draw the
    // lower token wins, and that one was seen before.
    let mut least = f32::NEG_INFINITY;
    let room = count.saturating_mul(2).clamp(64, logits.len().max(64));
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(room);
    for (logit, token) in logits.iter().zip(0u32..) {
        if *logit > least {
            best.push((token, *logit));
            if best.len() >= room && best.len() > count {
                keep_best(&mut best, count);
                least = best[count - 1].1;
            }
        }
    }
    keep_best(&mut best, count);
    best.sort_unstable_by(by_logit);
    best
}

/// Leaves the `count` best, of which the last is the least.
fn keep_best(tokens: &mut Vec<(u32, f32)>, count: usize) {
    if tokens.len() > count {
        tokens.select_nth_unstable_by(count - 1, by_logit);
        tokens.truncate(count);
    }
}

/// The greater logit first, then the lower token.
pub(crate) fn by_logit(left: &(u32, f32), right: &(u32, f32)) -> Ordering {
    // Adding 0 makes one of the two zeros.
    let order = (right.1 + 0.0).total_cmp(&(left.1 + 0.0));
    order.then(left.0.cmp(&right.0))
}
