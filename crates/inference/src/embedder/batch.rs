//! Batches of texts of similar length.

use std::cmp::Reverse;
use std::ops::Range;

/// Tokens of a batch, padding included: enough to keep a card busy. More costs memory.
const MOST_TOKENS: usize = 16_384;
/// Texts are filled up to a multiple of it: products of other sizes are slow on cards.
const STEP: usize = 8;

/// Texts that go through the encoder together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Where each text stood in the input, and its tokens; the longest first.
    texts: Vec<(usize, Vec<u32>)>,
    lengths: Vec<usize>,
    /// Places of each text, padding included.
    places: usize,
}

/// Sorts texts by length and cuts them into batches of at most [`MOST_TOKENS`] places, but for a text that is longer
/// itself. No text is filled up to more than `limit` places.
pub(super) fn by_length(texts: Vec<Vec<u32>>, limit: usize) -> Vec<Batch> {
    let mut texts: Vec<(usize, Vec<u32>)> = texts.into_iter().enumerate().collect();
    texts.sort_by_key(|(_, tokens)| Reverse(tokens.len()));
    let mut batches = Vec::new();
    let mut open: Vec<(usize, Vec<u32>)> = Vec::new();
    for text in texts {
        let longest = open.first().unwrap_or(&text).1.len();
        if !open.is_empty() && (open.len() + 1) * places(longest, limit) > MOST_TOKENS {
            batches.push(Batch::new(std::mem::take(&mut open), limit));
        }
        open.push(text);
    }
    if !open.is_empty() {
        batches.push(Batch::new(open, limit));
    }
    batches
}

/// What texts are filled up to, of which this is the length of the longest. There is one place at least.
fn places(longest: usize, limit: usize) -> usize {
    let longest = longest.max(1);
    longest.next_multiple_of(STEP).min(limit).max(longest)
}

impl Batch {
    /// Of texts of which the first is the longest.
    fn new(texts: Vec<(usize, Vec<u32>)>, limit: usize) -> Self {
        let lengths: Vec<usize> = texts.iter().map(|(_, tokens)| tokens.len()).collect();
        let longest = lengths.first().copied().unwrap_or(0);
        Self {
            texts,
            lengths,
            places: places(longest, limit),
        }
    }

    /// Where the texts stood in the input.
    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        self.texts.iter().map(|(position, _)| *position)
    }

    /// Tokens of each text.
    pub(super) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Texts, and places of each.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.texts.len(), self.places)
    }

    /// Tokens of all texts, each filled up.
    pub(super) fn padded_ids(&self, padding: u32) -> Vec<u32> {
        let mut ids = Vec::with_capacity(self.texts.len() * self.places);
        for (_, tokens) in &self.texts {
            ids.extend_from_slice(tokens);
            ids.resize(ids.len() + self.places - tokens.len(), padding);
        }
        ids
    }

    /// Which places of each text are padding.
    pub(super) fn padding(&self) -> Vec<Range<usize>> {
        let lengths = self.lengths.iter();
        lengths.map(|length| *length..self.places).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lengths: &[usize]) -> Vec<Vec<u32>> {
        lengths.iter().map(|length| vec![7; *length]).collect()
    }

    #[test]
    fn every_text_is_in_one_batch() {
        let lengths = [5, 300, 2, 2, 4000, 9, 17, 256, 256, 1, 20_000, 0];
        let batches = by_length(texts(&lengths), 30_000);
        let mut positions: Vec<usize> = batches.iter().flat_map(Batch::positions).collect();
        positions.sort_unstable();
        assert_eq!(positions, (0..lengths.len()).collect::<Vec<_>>());
        for batch in &batches {
            for (position, length) in batch.positions().zip(batch.lengths()) {
                assert_eq!(lengths[position], *length);
            }
        }
    }

    #[test]
    fn batches_stay_in_the_budget() {
        let batches = by_length(texts(&[100; 300]), 512);
        let shapes: Vec<_> = batches.iter().map(Batch::shape).collect();
        assert_eq!(shapes, [(157, 104), (143, 104)]);
        assert!(by_length(Vec::new(), 512).is_empty());
    }

    #[test]
    fn texts_are_filled_up_to_a_round_number_of_places_that_the_model_has() {
        assert_eq!(places(0, 512), 8);
        assert_eq!(places(8, 512), 8);
        assert_eq!(places(9, 512), 16);
        assert_eq!(places(9, 12), 12);
        assert_eq!(places(13, 12), 13);
    }

    #[test]
    fn texts_are_padded_to_the_longest() {
        let batch = Batch::new(vec![(1, vec![1, 2, 3]), (0, vec![4])], 4);
        assert_eq!(batch.padded_ids(0), [1, 2, 3, 0, 4, 0, 0, 0]);
        assert_eq!(batch.padding(), [3..4, 1..4]);
    }
}
