//! DRY: a penalty for going on with what the text has said before (see [`Dry`]).
//!
//! How far the end of the text and each earlier place of it agree, reading backwards, is the Z
//! function of the text turned round, which takes time linear in the window however much it repeats.

use super::penalties::{finite, recent};
use super::{Dry, Text};
use crate::soft::is_soft;

/// The penalty of one request, and memory that it uses again for each token.
#[derive(Debug)]
pub(super) struct DryPenalty {
    settings: Dry,
    /// By token, whether it ends a stretch.
    breaks: Vec<bool>,
    reversed: Vec<u32>,
    lengths: Vec<usize>,
    found: Vec<(u32, usize)>,
}

impl DryPenalty {
    /// Looks for the sequence breakers in the bytes of each token.
    pub(super) fn new<'bytes>(
        settings: &Dry,
        vocabulary: usize,
        token_bytes: impl Fn(u32) -> &'bytes [u8],
    ) -> Self {
        let breakers = Breakers::new(&settings.sequence_breakers);
        let tokens = 0..vocabulary as u32;
        Self {
            breaks: tokens
                .map(|token| breakers.are_in(token_bytes(token)))
                .collect(),
            settings: settings.clone(),
            reversed: Vec::new(),
            lengths: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Takes from the logit of each token that would make a repetition longer.
    pub(super) fn apply(&mut self, text: Text<'_>, logits: &mut [f32]) {
        if self.settings.multiplier == 0.0 {
            return;
        }
        let window = recent(text.tokens, self.settings.window);
        self.find_repetitions(window);
        for (token, length) in longest_of_each(&mut self.found) {
            if let Some(logit) = logits.get_mut(token as usize) {
                let over = (length - self.settings.allowed_length) as f32;
                let penalty = self.settings.multiplier * self.settings.base.powf(over);
                *logit = finite(*logit - penalty);
            }
        }
    }

    /// Fills `found` with tokens that stand behind an earlier copy of the end of the window, and with
    /// the copies' lengths.
    fn find_repetitions(&mut self, window: &[u32]) {
        self.found.clear();
        let since_breaker = window
            .iter()
            .rev()
            .take_while(|token| !self.breaks(**token));
        let most = since_breaker.count();
        if most < self.settings.allowed_length {
            return;
        }
        self.reversed.clear();
        self.reversed.extend(window.iter().rev());
        agreements(&self.reversed, &mut self.lengths);
        for (place, length) in self.lengths.iter().enumerate().skip(1) {
            // Backwards, what stands behind a place is before it.
            let (next, length) = (self.reversed[place - 1], (*length).min(most));
            if length >= self.settings.allowed_length && !self.breaks(next) {
                self.found.push((next, length));
            }
        }
    }

    /// A picture ends a stretch, too.
    fn breaks(&self, token: u32) -> bool {
        is_soft(token) || self.breaks.get(token as usize).copied().unwrap_or(false)
    }
}

/// Texts to look for in every token of a vocabulary.
struct Breakers<'texts> {
    texts: &'texts [String],
    /// By byte, whether a text begins with it: most places of most tokens need no more.
    begins: [bool; 256],
}

impl<'texts> Breakers<'texts> {
    fn new(texts: &'texts [String]) -> Self {
        let mut begins = [false; 256];
        for first in texts.iter().filter_map(|text| text.bytes().next()) {
            begins[usize::from(first)] = true;
        }
        Self { texts, begins }
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        let mut places = bytes.iter().enumerate();
        places.any(|(place, byte)| {
            let texts = self.texts.iter();
            self.begins[usize::from(*byte)]
                && texts
                    .map(String::as_bytes)
                    .any(|text| bytes[place..].starts_with(text))
        })
    }
}

/// The longest of the lengths of each token.
fn longest_of_each(found: &mut Vec<(u32, usize)>) -> impl Iterator<Item = (u32, usize)> {
    found.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(right.1.cmp(&left.1)));
    found.dedup_by_key(|(token, _)| *token);
    found.iter().copied()
}

/// The Z function (Gusfield 1997): for each place, how long what starts there agrees with the
/// beginning.
fn agreements(tokens: &[u32], lengths: &mut Vec<usize>) {
    lengths.clear();
    lengths.resize(tokens.len(), 0);
    // The stretch that is known to agree and reaches furthest.
    let (mut start, mut end) = (0, 0);
    for place in 1..tokens.len() {
        let mut length = if place < end {
            lengths[place - start].min(end - place)
        } else {
            0
        };
        while place + length < tokens.len() && tokens[length] == tokens[place + length] {
            length += 1;
        }
        if place + length > end {
            (start, end) = (place, place + length);
        }
        lengths[place] = length;
    }
}
