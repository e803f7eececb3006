//! The tokens that may come next.

/// Tokens per word of a mask.
const WORD: usize = u32::BITS as usize;

/// A set of tokens, a bit each. It is never empty: something may always come next, if only the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenMask {
    words: Vec<u32>,
}

impl TokenMask {
    /// The set whose member `i` is bit `i % 32` of word `i / 32`; `None` if it has no member.
    pub(crate) fn from_words(words: Vec<u32>) -> Option<Self> {
        let some = words.iter().any(|word| *word != 0);
        some.then_some(Self { words })
    }

    /// A set of tokens; `None` without any.
    pub(crate) fn from_tokens(tokens: impl Iterator<Item = u32>) -> Option<Self> {
        let mut words = Vec::new();
        for token in tokens {
            let word = token as usize / WORD;
            words.resize(words.len().max(word + 1), 0);
            words[word] |= 1 << (token as usize % WORD);
        }
        Self::from_words(words)
    }

    /// One token.
    pub(crate) fn only(token: u32) -> Option<Self> {
        Self::from_tokens([token].into_iter())
    }

    /// The tokens that are in both; `None` if none is.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        let words = self.words.iter().zip(&other.words);
        Self::from_words(words.map(|(left, right)| left & right).collect())
    }

    /// Whether the token may come next.
    #[cfg(test)]
    pub(crate) fn allows(&self, token: u32) -> bool {
        let word = self.words.get(token as usize / WORD);
        word.is_some_and(|word| word >> (token as usize % WORD) & 1 == 1)
    }

    /// All members, the lowest first.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = u32> {
        let words = self.words.iter().zip(0u32..);
        words.flat_map(|(word, index)| {
            let bits = (0..u32::BITS).filter(move |bit| word >> bit & 1 == 1);
            bits.map(move |bit| index * u32::BITS + bit)
        })
    }

    /// Takes every chance from the tokens that are not in the set; logits beyond its words are none
    /// of its tokens.
    pub(super) fn apply(&self, logits: &mut [f32]) {
        let (inside, beyond) = logits.split_at_mut(logits.len().min(self.words.len() * WORD));
        beyond.fill(f32::NEG_INFINITY);
        for (logits, word) in inside.chunks_mut(WORD).zip(&self.words) {
            match *word {
                0 => logits.fill(f32::NEG_INFINITY),
                u32::MAX => {}
                word => apply_word(logits, word),
            }
        }
    }
}

fn apply_word(logits: &mut [f32], word: u32) {
    for (bit, logit) in logits.iter_mut().enumerate() {
        if word >> bit & 1 == 0 {
            *logit = f32::NEG_INFINITY;
        }
    }
}
