//! What an answer costs.

use std::time::{Duration, Instant};

use super::metrics::{Outcome, RequestFigures};
use crate::Usage;

/// Notes when things happen to a request.
#[derive(Debug)]
pub(super) struct Meter {
    submitted: Instant,
    first_token: Option<Instant>,
    last_token: Option<Instant>,
    longest_gap: Duration,
    usage: Usage,
}

impl Meter {
    /// A meter for a request that came at `submitted`.
    pub(super) fn new(submitted: Instant, prompt_tokens: usize) -> Self {
        Self {
            submitted,
            first_token: None,
            last_token: None,
            longest_gap: Duration::ZERO,
            usage: Usage {
                prompt_tokens,
                ..Usage::default()
            },
        }
    }

    /// Work on the request begins.
    pub(super) fn start(&mut self) {
        self.usage.queue_time = self.submitted.elapsed();
    }

    /// So many tokens of the prompt did not have to be read.
    pub(super) fn count_cached(&mut self, tokens: usize) {
        self.usage.cached_tokens += tokens;
    }

    /// So many tokens were guessed, and so many of them right.
    pub(super) fn count_drafts(&mut self, drafted: usize, accepted: usize) {
        self.usage.drafted_tokens += drafted;
        self.usage.accepted_tokens += accepted;
    }

    /// A token was chosen.
    pub(super) fn count_token(&mut self) {
        let now = Instant::now();
        let gap = self.last_token.map(|last| now - last);
        self.longest_gap = self.longest_gap.max(gap.unwrap_or_default());
        self.first_token.get_or_insert(now);
        self.last_token = Some(now);
    }

    /// The sum, for an answer of so many tokens; the token that ends an answer is not one of them.
    pub(super) fn usage(&self, completion_tokens: usize) -> Usage {
        let first = self.first_token.unwrap_or(self.submitted);
        let last = self.last_token.unwrap_or(first);
        Usage {
            completion_tokens,
            time_to_first_token: first - self.submitted,
            decode_time: last - first,
            ..self.usage
        }
    }

    /// The sum of a request that has ended.
    pub(super) fn figures(&self, outcome: Outcome, completion_tokens: usize) -> RequestFigures {
        RequestFigures {
            outcome,
            usage: self.usage(completion_tokens),
            longest_gap: self.longest_gap,
        }
    }
}
