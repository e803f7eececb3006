//! Choosing among the greatest logits alone, as among all.
//!
//! What only lowers logits can be known beforehand: if at most `n` tokens are lowered, `k` of the `k + n` greatest are
//! not, and come before every token beyond them as they did before. So the `k` greatest of the lowered logits are all
//! among the `k + n` greatest of the raw ones, ties included.

use std::cmp::min;

use rand::Rng;

use super::draw::draw_among;
use super::likeliest::by_logit;
use super::{Choice, Sampler, Text};

impl Sampler {
    /// How many of the greatest logits (of equal ones, those of the lower tokens) are enough to choose the token after
    /// `text` and those after up to `more` tokens behind it; none if only all are. Without a mask and log
    /// probabilities, that is.
    pub(crate) fn enough(&self, text: Text<'_>, more: usize) -> Option<usize> {
        let kept = match self.sampling.temperature == 0.0 {
            true => 1,
            false => self.sampling.top_k?,
        };
        Some(kept.saturating_add(self.lowered(text, more)?))
    }

    /// How many logits penalties may lower at most; none if they may do something else, or nobody counts.
    fn lowered(&self, text: Text<'_>, more: usize) -> Option<usize> {
        let sampling = &self.sampling;
        if self.dry.is_some() || !sampling.logit_bias.is_empty() {
            return None;
        }
        if sampling.repetition_penalty < 1.0
            || sampling.frequency_penalty < 0.0
            || sampling.presence_penalty < 0.0
        {
            return None;
        }
        let mut lowered = 0;
        if sampling.repetition_penalty > 1.0 {
            lowered += min(sampling.repetition_window, text.tokens.len() + more);
        }
        if sampling.frequency_penalty > 0.0 || sampling.presence_penalty > 0.0 {
            lowered += text.answer().len() + more;
        }
        Some(lowered)
    }

    /// Chooses the token after `text`, as [`choose`](Self::choose), from [`enough`](Self::enough) of the greatest
    /// logits: finite, in order, and the only ones that were looked at. They are changed.
    pub(crate) fn choose_among(
        &mut self,
        likeliest: &mut Vec<(u32, f32)>,
        text: Text<'_>,
    ) -> Choice {
        self.penalties
            .apply(&self.sampling, text, likeliest.as_mut_slice());
        likeliest.sort_unstable_by(by_logit);
        let token = match self.sampling.temperature == 0.0 {
            true => likeliest.first().map_or(0, |(token, _)| *token),
            false => {
                likeliest.truncate(self.sampling.top_k.unwrap_or(usize::MAX));
                let kept = std::mem::take(likeliest);
                draw_among(kept, &self.sampling, self.random.random())
            }
        };
        Choice {
            token,
            logprob: None,
            top: Vec::new(),
        }
    }
}
