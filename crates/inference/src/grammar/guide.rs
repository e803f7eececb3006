//! The walk of one answer through its grammar.

use llguidance::Matcher;

use super::closing::{Closing, Endings};
use super::first_line;
use crate::sampling::TokenMask;
use crate::{Error, Result};

/// Where an answer is in its grammar. Once it failed, it keeps failing.
pub(crate) struct Guide {
    matcher: Matcher,
    kind: &'static str,
    ends: Vec<u32>,
    /// The tokens that may come next, once they were asked for.
    mask: Option<TokenMask>,
    /// Of JSON: what is known about its ends, before the first token was chosen.
    endings: Option<Endings>,
    /// And afterwards, unless it has no end that is short enough.
    closing: Option<Closing>,
    finished: bool,
}

impl std::fmt::Debug for Guide {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut guide = formatter.debug_struct("Guide");
        guide.field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Guide {
    /// At the beginning of an answer, where some token must be possible.
    pub(super) fn new(
        matcher: Matcher,
        kind: &'static str,
        endings: Option<Endings>,
    ) -> Result<Self, String> {
        let environment = matcher
            .tok_env()
            .map_err(|error| first_line(&error.to_string()))?;
        let mut guide = Self {
            matcher,
            kind,
            ends: environment.tok_trie().eos_tokens().to_vec(),
            mask: None,
            endings,
            closing: None,
            finished: false,
        };
        guide.mask = Some(guide.compute_mask()?);
        Ok(guide)
    }

    /// The tokens that may come next; those that end the answer are among them exactly if it may end
    /// here.
    ///
    /// # Errors
    ///
    /// [`Error::Grammar`] where the grammar is too complex to go on.
    pub(crate) fn mask(&mut self) -> Result<&TokenMask> {
        let mask = match self.mask.take() {
            Some(mask) => mask,
            None => self.compute_mask().map_err(|problem| self.error(problem))?,
        };
        Ok(self.mask.insert(mask))
    }

    /// The token to take instead of one of the mask, if an answer that may have `left` tokens behind
    /// it could not come to its end otherwise. `None` where the token will do, where nothing would,
    /// and in grammars other than JSON.
    pub(crate) fn instead_of(&mut self, token: u32, left: usize) -> Option<u32> {
        if let Some(endings) = self.endings.take() {
            self.closing = Closing::new(endings, &self.matcher, left + 1);
        }
        let closing = self.closing.as_mut()?;
        if closing.leaves_an_end(&self.matcher, token, left) {
            return None;
        }
        closing.first_of_way(&self.matcher, left + 1)
    }

    fn compute_mask(&mut self) -> Result<TokenMask, String> {
        let found = self.matcher.compute_mask_or_eos();
        let found = found.map_err(|error| match first_line(&error.to_string()) {
            said if said.is_empty() => "no token can come next".to_owned(),
            said => said,
        })?;
        let mask = TokenMask::from_words(found.into());
        let mask = mask.ok_or_else(|| "no token can come next".to_owned())?;
        self.finished |= mask.tokens().all(|token| self.ends.contains(&token));
        Ok(mask)
    }

    /// Takes a step with a token of the mask.
    ///
    /// # Errors
    ///
    /// [`Error::Grammar`] for a token that may not come next, and as [`mask`](Self::mask).
    pub(crate) fn accept(&mut self, token: u32) -> Result<()> {
        let is_end = self.ends.contains(&token);
        if self.matcher.is_stopped() && !self.matcher.is_error() && is_end {
            self.finished = true;
            return Ok(());
        }
        self.mask = None;
        if let Some(closing) = &mut self.closing {
            closing.read(token);
        }
        let taken = self.matcher.consume_token(token);
        taken.map_err(|error| self.error(first_line(&error.to_string())))?;
        self.finished |= self.matcher.is_stopped();
        Ok(())
    }

    /// Whether nothing but the end may follow.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the answer may end here.
    #[cfg(test)]
    pub(crate) fn is_accepting(&mut self) -> bool {
        self.finished || self.matcher.is_accepting().unwrap_or(false)
    }

    /// Whether a token may have to be replaced, by [`instead_of`](Self::instead_of).
    pub(crate) fn must_come_to_an_end(&self) -> bool {
        self.endings.is_some() || self.closing.is_some()
    }

    /// Tokens that must follow, as the tokenizer would cut them; none where the grammar leaves a
    /// choice. The walk does not go on.
    pub(crate) fn forced(&mut self) -> Vec<u32> {
        if self.finished {
            return Vec::new();
        }
        self.matcher.compute_ff_tokens()
    }

    fn error(&self, problem: String) -> Error {
        Error::Grammar {
            kind: self.kind,
            problem,
        }
    }
}
