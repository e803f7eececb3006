//! Guesses at the next tokens without a second model.
//!
//! Answers repeat: names of the prompt, passages that are quoted, code with a line changed. So what
//! followed the last time the newest tokens stood in the text is a fair guess at what follows now, the fairer the more of them stood there, and
//! a step that reads the guess tells how much of it is right at the price of a few more rows (prompt
//! lookup, Saxena 2023; LLMA, Yang et al. 2023). [`Trust`] watches how often that succeeds.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::ops::RangeInclusive;

use crate::soft::is_soft;

/// How many of the newest tokens must have stood in the text before; the longest are tried first. A
/// single token says too little about what follows: in most texts that is a comma or an article.
const MATCHED_TOKENS: RangeInclusive<usize> = 2..=5;

/// Share of an estimate that a single token replaces: about the last sixteen count.
const NEWS: f64 = 1.0 / 16.0;

/// Share of an estimate that is forgotten in a token's time, so that a request whose drafts were
/// rarely right is tried again after a hundred tokens or two.
const FORGETTING: f64 = 1.0 / 128.0;

/// Matches longer than this are as good as one of this length.
const MOST_MATCHED: usize = 16;

/// From so many matching tokens on, and up to the next, drafts are trusted alike; and how far, while
/// nothing is known of a request. A text that repeats two tokens may go on in any way; one that has
/// repeated ten is quoting.
const TRUST: [(usize, f64); 5] = [(2, 0.35), (3, 0.45), (4, 0.6), (6, 0.75), (10, 0.9)];

/// Drafts in a row of which nothing was right, before a pause.
const MISSES_BEFORE_PAUSE: u32 = 2;

/// Tokens of the first pause and of the longest; each is twice the one before.
const PAUSES: RangeInclusive<u32> = 4..=64;

/// The text of a request, and where its pieces stood last. It takes up to 160 bytes a token.
#[derive(Debug, Default)]
pub(crate) struct Drafter {
    text: Vec<u32>,
    /// Where the last token follows that came after a piece of the text, by the piece's hash. The end
    /// of the text has no entry yet, because nothing follows it.
    followers: HashMap<u64, usize>,
    /// Tokens since the last soft one: a piece never holds a row of a picture, whose neighbours say
    /// nothing about it, and a guess ends before one.
    words: usize,
}

/// A guess at the next tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draft<'text> {
    /// What came next the last time.
    pub(crate) tokens: &'text [u32],
    /// How many of the newest tokens stood before them then, [`MOST_MATCHED`] at most.
    pub(crate) matched: usize,
}

impl Drafter {
    /// A drafter that has seen no text.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes note of the prompt, and then of each token of the answer.
    pub(crate) fn extend(&mut self, tokens: &[u32]) {
        for &token in tokens {
            if is_soft(token) {
                self.words = 0;
            } else {
                self.note_follower();
                self.words += 1;
            }
            self.text.push(token);
        }
    }

    /// At most `most` tokens that followed when the newest tokens stood in the text before: as many of
    /// them as possible, and the last time. Empty if they never did.
    pub(crate) fn draft(&self, most: usize) -> Draft<'_> {
        let Some(place) = MATCHED_TOKENS.rev().find_map(|n| self.follower(n)) else {
            return Draft {
                tokens: &[],
                matched: 0,
            };
        };
        let tokens = self.text[place..].iter().take(most);
        let words = tokens.take_while(|token| !is_soft(**token)).count();
        Draft {
            tokens: &self.text[place..place + words],
            matched: self.matched(place),
        }
    }

    /// How many tokens before `place` are those that end the text.
    fn matched(&self, place: usize) -> usize {
        let before = self.text[..place].iter().rev();
        let pairs = before.zip(self.text.iter().rev()).take(MOST_MATCHED);
        pairs
            .take_while(|(before, ending)| before == ending && !is_soft(**ending))
            .count()
    }

    /// The next token will follow the pieces that end the text now.
    fn note_follower(&mut self) {
        for n in MATCHED_TOKENS {
            if let Some(key) = self.ending(n).map(|piece| self.hash(piece)) {
                self.followers.insert(key, self.text.len());
            }
        }
    }

    /// What followed the last time that the newest `n` tokens stood in the text.
    fn follower(&self, n: usize) -> Option<usize> {
        let ending = self.ending(n)?;
        let place = *self.followers.get(&self.hash(ending))?;
        // Another piece can have the same hash.
        self.text[..place].ends_with(ending).then_some(place)
    }

    fn ending(&self, n: usize) -> Option<&[u32]> {
        (n <= self.words).then(|| &self.text[self.text.len() - n..])
    }

    fn hash(&self, piece: &[u32]) -> u64 {
        self.followers.hasher().hash_one(piece)
    }
}

/// How far the drafts of a request can be trusted, by how much of the text they match.
#[derive(Clone, Debug)]
pub(crate) struct Trust([Acceptance; TRUST.len()]);

impl Trust {
    /// Of a request that has no drafts yet.
    pub(crate) fn new() -> Self {
        Self(TRUST.map(|(_, prior)| Acceptance::new(prior)))
    }

    /// That in drafts that match so many tokens, at least 2.
    pub(crate) fn of(&mut self, matched: usize) -> &mut Acceptance {
        let number = TRUST.iter().rposition(|&(first, _)| first <= matched);
        &mut self.0[number.unwrap_or(0)]
    }
}

/// How far the drafts of a kind can be trusted.
#[derive(Clone, Debug)]
pub(crate) struct Acceptance {
    probability: f64,
    /// What is assumed while nothing is known.
    prior: f64,
    /// Drafts in a row of which nothing was right.
    misses: u32,
    /// Tokens until the next try.
    waiting: u32,
    next_pause: u32,
}

impl Acceptance {
    /// Of drafts of which none was made yet.
    fn new(prior: f64) -> Self {
        Self {
            probability: prior,
            prior,
            misses: 0,
            waiting: 0,
            next_pause: *PAUSES.start(),
        }
    }

    /// The first `accepted` of `drafted` tokens were right. The one after them was wrong, and what
    /// followed that says nothing.
    pub(crate) fn record(&mut self, drafted: usize, accepted: usize) {
        debug_assert!(accepted <= drafted, "{accepted} of {drafted}");
        for _ in 0..accepted {
            self.probability += (1.0 - self.probability) * NEWS;
        }
        if accepted < drafted {
            self.probability -= self.probability * NEWS;
        }
        match accepted {
            0 if drafted > 0 => self.miss(),
            0 => (),
            _ => self.hit(),
        }
    }

    /// The probability that a drafted token is right if those before it are.
    pub(crate) fn probability(&self) -> f64 {
        self.probability
    }

    /// Whether to draft now. To be asked once a step: each question is a step of a pause.
    pub(crate) fn should_try(&mut self) -> bool {
        self.probability += (self.prior - self.probability) * FORGETTING;
        let ready = self.waiting == 0;
        self.waiting = self.waiting.saturating_sub(1);
        ready
    }

    fn hit(&mut self) {
        self.misses = 0;
        self.next_pause = *PAUSES.start();
    }

    /// After a pause, one more miss begins the next.
    fn miss(&mut self) {
        self.misses += 1;
        if self.misses >= MISSES_BEFORE_PAUSE {
            self.waiting = self.next_pause;
            self.next_pause = (2 * self.next_pause).min(*PAUSES.end());
        }
    }
}

#[cfg(test)]
mod tests;
