//! Choosing the next token from the logits.
//!
//! The order: log probabilities are read from the raw logits; then logit bias, penalties for
//! repetition, frequency and presence, DRY, and the mask of a grammar; then the greatest logit, or
//! temperature, softmax, top-k, top-p, min-p and one draw. Ties are broken by the lower token id, so
//! that an answer depends on the seed and on nothing else.
//!
//! Where only some of the greatest logits can matter, [`Sampler::enough`] says how many, and they are enough: the
//! choice [`among`] them is that among all.
//!
//! A draw takes exactly one random number however many tokens it chooses among. So a text whose
//! tokens were guessed and then checked place by place is the text that would have come without
//! guesses.

mod among;
mod check;
mod draw;
mod dry;
mod likeliest;
mod logprobs;
mod mask;
mod penalties;
mod settings;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use draw::Weights;
use dry::DryPenalty;
use logprobs::Logprobs;
use penalties::{Penalties, add_bias};

pub(crate) use check::check;
pub(crate) use likeliest::{by_logit, likeliest};
pub(crate) use mask::TokenMask;
pub use settings::{Dry, Sampling};

/// The text that a token is chosen for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'tokens> {
    /// The prompt and the answer so far. [Soft](crate::soft) tokens, in prompts, are no words: none is
    /// penalised, and none counts in a window.
    pub(crate) tokens: &'tokens [u32],
    /// How many of them are the prompt.
    pub(crate) prompt: usize,
}

impl<'tokens> Text<'tokens> {
    fn answer(self) -> &'tokens [u32] {
        self.tokens.get(self.prompt..).unwrap_or_default()
    }
}

/// A chosen token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    /// The token.
    pub(crate) token: u32,
    /// Its log probability, if log probabilities were asked for.
    pub(crate) logprob: Option<f32>,
    /// The likeliest tokens in its place and their log probabilities, by falling probability.
    pub(crate) top: Vec<(u32, f32)>,
}

/// Chooses the tokens of one answer.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    random: StdRng,
    penalties: Penalties,
    dry: Option<DryPenalty>,
    weights: Weights,
}

impl Sampler {
    /// A sampler for a request whose numbers were checked, of a model with `vocabulary` tokens of the
    /// bytes given.
    pub(crate) fn new<'bytes>(
        sampling: &Sampling,
        vocabulary: usize,
        token_bytes: impl Fn(u32) -> &'bytes [u8],
    ) -> Self {
        let random = match sampling.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_os_rng(),
        };
        let dry = sampling.dry.as_ref();
        Self {
            sampling: sampling.clone(),
            random,
            penalties: Penalties::default(),
            dry: dry.map(|dry| DryPenalty::new(dry, vocabulary, token_bytes)),
            weights: Weights::default(),
        }
    }

    /// Chooses the token after `text`, which is that of the call before with more tokens of the
    /// answer. The logits are finite; they are changed.
    ///
    /// With a mask, none but its tokens is chosen. With `top_logprobs`, the log probability of the
    /// token and those of so many of the likeliest come with it.
    pub(crate) fn choose(
        &mut self,
        logits: &mut [f32],
        text: Text<'_>,
        mask: Option<&TokenMask>,
        top_logprobs: Option<usize>,
    ) -> Choice {
        let Some(count) = top_logprobs else {
            return Choice {
                token: self.choose_token(logits, text, mask),
                logprob: None,
                top: Vec::new(),
            };
        };
        let raw = logits.to_vec();
        let logprobs = Logprobs::new(&raw, count);
        let token = self.choose_token(logits, text, mask);
        Choice {
            token,
            logprob: raw.get(token as usize).map(|logit| logprobs.of(*logit)),
            top: logprobs.top,
        }
    }

    fn choose_token(
        &mut self,
        logits: &mut [f32],
        text: Text<'_>,
        mask: Option<&TokenMask>,
    ) -> u32 {
        add_bias(&self.sampling.logit_bias, logits);
        self.penalties.apply(&self.sampling, text, logits);
        if let Some(dry) = &mut self.dry {
            dry.apply(text, logits);
        }
        // Last, so that nothing makes a forbidden token possible again.
        if let Some(mask) = mask {
            mask.apply(logits);
        }
        if self.sampling.temperature == 0.0 {
            return likeliest(logits);
        }
        self.weights
            .draw(&self.sampling, logits, self.random.random())
    }
}

#[cfg(test)]
mod tests;
