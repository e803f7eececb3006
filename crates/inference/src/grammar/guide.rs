//! The walk of one answer through its grammar.

use llguidance::Matcher;

use super::closing::Closing;
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
    /// Of JSON: how to bring it to its end.
    closing: Option<Closing>,
    /// The tokens that lead there, of those that may come next.
    narrowed: Option<TokenMask>,
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
        closing: Option<Closing>,
    ) -> Result<Self, String> {
        let environment = matcher
            .tok_env()
            .map_err(|error| first_line(&error.to_string()))?;
        let mut guide = Self {
            matcher,
            kind,
            ends: environment.tok_trie().eos_tokens().to_vec(),
            mask: None,
            closing,
            narrowed: None,
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

    /// The tokens that may come next in an answer that may have `left` tokens more. If JSON had better
    /// come to its end, that is only those which bring it there, if there are any; else those of
    /// [`mask`](Self::mask).
    ///
    /// # Errors
    ///
    /// As [`mask`](Self::mask).
    pub(crate) fn mask_within(&mut self, left: usize) -> Result<&TokenMask> {
        let closing = self.closing.as_ref();
        if closing.is_none_or(|closing| left > closing.tokens_to_end()) {
            return self.mask();
        }
        let mask = self.mask()?.clone();
        let closing = self.closing.as_ref();
        let narrowed = closing.and_then(|closing| closing.narrow(&mask));
        Ok(self.narrowed.insert(narrowed.unwrap_or(mask)))
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
        self.follow(token);
        let taken = self.matcher.consume_token(token);
        taken.map_err(|error| self.error(first_line(&error.to_string())))?;
        self.finished |= self.matcher.is_stopped();
        Ok(())
    }

    fn follow(&mut self, token: u32) {
        if let Some(closing) = &mut self.closing
            && let Ok(environment) = self.matcher.tok_env()
        {
            closing.read(environment.tok_trie().token(token));
        }
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
