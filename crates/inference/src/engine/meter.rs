//! What an answer costs.

use std::time::Instant;

use crate::Usage;

/// Notes when tokens come.
#[derive(Debug)]
pub(super) struct Meter {
    submitted: Instant,
    prompt_tokens: usize,
    first_token: Option<Instant>,
    last_token: Option<Instant>,
}

impl Meter {
    /// A meter for a request that came at `submitted`.
    pub(super) fn new(submitted: Instant, prompt_tokens: usize) -> Self {
        Self {
            submitted,
            prompt_tokens,
            first_token: None,
            last_token: None,
        }
    }

    /// A token was chosen.
    pub(super) fn count_token(&mut self) {
        let now = Instant::now();
        self.first_token.get_or_insert(now);
        self.last_token = Some(now);
    }

    /// The sum, for an answer of so many tokens; the token that ends an answer is not one of them.
    pub(super) fn usage(&self, completion_tokens: usize) -> Usage {
        let first = self.first_token.unwrap_or(self.submitted);
        let last = self.last_token.unwrap_or(first);
        Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens,
            time_to_first_token: first - self.submitted,
            decode_time: last - first,
            ..Usage::default()
        }
    }
}
