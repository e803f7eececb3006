//! Batches of texts of similar length.

use std::cmp::Reverse;
use std::ops::Range;

/// Tokens of a batch, padding included. More does not make a processor's products faster, and costs memory:
/// attention scores take `heads * longest * tokens` numbers.
const MOST_TOKENS: usize = 4096;
/// The same on a card, which is idle with less.
const MOST_TOKENS_OF_CARD: usize = 16_384;

/// Texts that go through the encoder together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Where each text stood in the input, and its tokens; the longest first.
    texts: Vec<(usize, Vec<u32>)>,
    lengths: Vec<usize>,
}

/// Sorts texts by length and cuts them into batches for the processor: at least one for each of `workers` if there
/// are enough texts.
pub(super) fn by_length(texts: Vec<Vec<u32>>, workers: usize) -> Vec<Batch> {
    let total: usize = texts.iter().map(Vec::len).sum();
    cut(texts, total.div_ceil(workers.max(1)).clamp(1, MOST_TOKENS))
}

/// The same for a card, which does one batch after another.
pub(super) fn for_card(texts: Vec<Vec<u32>>) -> Vec<Batch> {
    cut(texts, MOST_TOKENS_OF_CARD)
}

/// Batches of at most `budget` tokens, but for a text that is longer itself.
fn cut(texts: Vec<Vec<u32>>, budget: usize) -> Vec<Batch> {
    let mut texts: Vec<(usize, Vec<u32>)> = texts.into_iter().enumerate().collect();
    texts.sort_by_key(|(_, tokens)| Reverse(tokens.len()));
    let mut batches = Vec::new();
    let mut open: Vec<(usize, Vec<u32>)> = Vec::new();
    for text in texts {
        let longest = open
            .first()
            .map_or(text.1.len(), |(_, tokens)| tokens.len());
        if !open.is_empty() && (open.len() + 1) * longest > budget {
            batches.push(Batch::new(std::mem::take(&mut open)));
        }
        open.push(text);
    }
    if !open.is_empty() {
        batches.push(Batch::new(open));
    }
    batches
}

impl Batch {
    fn new(texts: Vec<(usize, Vec<u32>)>) -> Self {
        let lengths = texts.iter().map(|(_, tokens)| tokens.len()).collect();
        Self { texts, lengths }
    }

    /// Where the texts stood in the input.
    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        self.texts.iter().map(|(position, _)| *position)
    }

    /// Tokens of each text.
    pub(super) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Texts and tokens of the longest.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.texts.len(), self.longest())
    }

    /// Tokens of all texts, each filled up to the longest.
    pub(super) fn padded_ids(&self, padding: u32) -> Vec<u32> {
        let mut ids = Vec::with_capacity(self.texts.len() * self.longest());
        for (_, tokens) in &self.texts {
            ids.extend_from_slice(tokens);
            ids.resize(ids.len() + self.longest() - tokens.len(), padding);
        }
        ids
    }

    /// Which places of each text are padding, if any is.
    pub(super) fn padding(&self) -> Option<Vec<Range<usize>>> {
        let longest = self.longest();
        let is_padded = self.lengths.iter().any(|length| *length < longest);
        is_padded.then(|| self.lengths.iter().map(|length| *length..longest).collect())
    }

    fn longest(&self) -> usize {
        self.lengths.first().copied().unwrap_or(0)
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
        let lengths = [5, 300, 2, 2, 4000, 9, 17, 256, 256, 1];
        let batches = by_length(texts(&lengths), 2);
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
        for batch in by_length(texts(&[100; 300]), 1) {
            let (count, longest) = batch.shape();
            assert!(count * longest <= MOST_TOKENS);
        }
    }

    #[test]
    fn cards_get_large_batches() {
        let batches = for_card(texts(&[100; 300]));
        let counts: Vec<usize> = batches.iter().map(|batch| batch.shape().0).collect();
        assert_eq!(counts, [163, 137]);
    }

    #[test]
    fn there_is_work_for_everybody() {
        assert_eq!(by_length(texts(&[10; 8]), 2).len(), 2);
        assert_eq!(by_length(texts(&[10]), 2).len(), 1);
        assert!(by_length(Vec::new(), 2).is_empty());
    }

    #[test]
    fn texts_are_padded_to_the_longest() {
        let batch = Batch::new(vec![(1, vec![1, 2, 3]), (0, vec![4])]);
        assert_eq!(batch.padded_ids(0), [1, 2, 3, 4, 0, 0]);
        assert_eq!(batch.padding(), Some(vec![3..3, 1..3]));
        assert_eq!(Batch::new(vec![(0, vec![1])]).padding(), None);
    }
}
