//! SentencePiece BPE (`tokenizer.ggml.model` = `llama`): of all neighbouring pieces whose union is a
//! token, the union with the highest score is made first, the leftmost of equals.
//!
//! Characters that end in no token are spelled in byte tokens. The `tokenizers` crate has no model
//! of this kind: its BPE merges by rank of a pair, its unigram model searches for the best sum.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::bytes::named_byte;
use super::encoder::Place;
use super::vocabulary::{TokenKind, Vocabulary};
use crate::Result;
use crate::model_file::ModelFile;

/// Tokens by text with their scores.
#[derive(Debug)]
pub(super) struct Spm {
    tokens: HashMap<String, (u32, f32)>,
    byte_tokens: HashMap<u8, u32>,
    unknown: Option<u32>,
    space_first: bool,
}

impl Spm {
    /// Reads the scores.
    pub(super) fn from_gguf(file: &ModelFile, vocabulary: &Vocabulary) -> Result<Self> {
        let scores = file.required_floats("tokenizer.ggml.scores")?;
        if scores.len() != vocabulary.tokens.len() {
            return Err(file.bad(format!(
                "tokenizer.ggml.scores has {} entries for {} tokens",
                scores.len(),
                vocabulary.tokens.len()
            )));
        }
        let numbered = vocabulary.tokens.iter().zip(0u32..).zip(scores);
        let tokens = numbered.map(|((text, id), score)| (text.clone(), (id, score)));
        let kinds = vocabulary.tokens.iter().zip(&vocabulary.kinds).zip(0u32..);
        let byte_tokens = kinds.filter_map(|((text, kind), id)| {
            (*kind == TokenKind::Byte).then(|| named_byte(text).map(|byte| (byte, id)))?
        });
        let unknown = vocabulary
            .kinds
            .iter()
            .position(|kind| *kind == TokenKind::Unknown);
        Ok(Self {
            tokens: tokens.collect(),
            byte_tokens: byte_tokens.collect(),
            unknown: unknown.map(|id| id as u32),
            space_first: file
                .boolean("tokenizer.ggml.add_space_prefix")?
                .unwrap_or(true),
        })
    }

    /// Adds the tokens of a text without special tokens. The first text, and a text after a special
    /// token, gets a space before it where the vocabulary was trained so.
    pub(super) fn encode(&self, text: &str, place: Place, tokens: &mut Vec<u32>) {
        let mut spaced = String::with_capacity(text.len() + 3);
        if self.space_first && place != Place::Inside {
            spaced.push(' ');
        }
        spaced.push_str(text);
        let spaced = spaced.replace(' ', "\u{2581}");
        let mut pieces = Pieces::new(&spaced);
        pieces.merge(&self.tokens);
        for piece in pieces.texts() {
            self.push_piece(piece, tokens);
        }
    }

    fn push_piece(&self, piece: &str, tokens: &mut Vec<u32>) {
        if let Some((id, _)) = self.tokens.get(piece) {
            tokens.push(*id);
            return;
        }
        let bytes = piece.bytes();
        tokens
            .extend(bytes.filter_map(|byte| self.byte_tokens.get(&byte).copied().or(self.unknown)));
    }
}

/// A stretch of the text; its neighbours are linked, so that a merge costs the same anywhere.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    /// Equal to `start` once the span was merged into its left neighbour.
    end: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

#[derive(Debug)]
struct Pieces<'text> {
    text: &'text str,
    spans: Vec<Span>,
    queue: BinaryHeap<Merge>,
}

/// A possible merge of two neighbours.
#[derive(Debug)]
struct Merge {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of the union; a merge whose parts have grown or gone since is stale.
    size: usize,
}

impl Ord for Merge {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = self.score.total_cmp(&other.score);
        by_score.then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Merge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Merge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Merge {}

impl<'text> Pieces<'text> {
    /// One span a character.
    fn new(text: &'text str) -> Self {
        let count = text.chars().count();
        let spans = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, character))| Span {
                start,
                end: start + character.len_utf8(),
                previous: index.checked_sub(1),
                next: (index + 1 < count).then_some(index + 1),
            });
        Self {
            text,
            spans: spans.collect(),
            queue: BinaryHeap::new(),
        }
    }

    fn merge(&mut self, tokens: &HashMap<String, (u32, f32)>) {
        for right in 1..self.spans.len() {
            self.propose(Some(right - 1), Some(right), tokens);
        }
        while let Some(merge) = self.queue.pop() {
            if self.is_stale(&merge) {
                continue;
            }
            self.join(merge.left, merge.right);
            self.propose(self.spans[merge.left].previous, Some(merge.left), tokens);
            self.propose(Some(merge.left), self.spans[merge.left].next, tokens);
        }
    }

    fn propose(
        &mut self,
        left: Option<usize>,
        right: Option<usize>,
        tokens: &HashMap<String, (u32, f32)>,
    ) {
        let (Some(left), Some(right)) = (left, right) else {
            return;
        };
        let union = &self.text[self.spans[left].start..self.spans[right].end];
        if let Some((_, score)) = tokens.get(union) {
            self.queue.push(Merge {
                score: *score,
                left,
                right,
                size: union.len(),
            });
        }
    }

    fn is_stale(&self, merge: &Merge) -> bool {
        let length = |span: Span| span.end - span.start;
        let left = length(self.spans[merge.left]);
        let right = length(self.spans[merge.right]);
        left == 0 || right == 0 || left + right != merge.size
    }

    fn join(&mut self, left: usize, right: usize) {
        let gone = self.spans[right];
        self.spans[left].end = gone.end;
        self.spans[left].next = gone.next;
        self.spans[right].end = gone.start;
        if let Some(next) = gone.next {
            self.spans[next].previous = Some(left);
        }
    }

    fn texts(&self) -> impl Iterator<Item = &'text str> {
        let left = self.spans.iter().filter(|span| span.end > span.start);
        left.map(|span| &self.text[span.start..span.end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spm(tokens: &[(&str, f32)]) -> Spm {
        let tokens = tokens.iter().zip(10u32..);
        Spm {
            tokens: tokens
                .map(|((text, score), id)| ((*text).to_owned(), (id, *score)))
                .collect(),
            byte_tokens: (0..=255u8)
                .map(|byte| (byte, 1000 + u32::from(byte)))
                .collect(),
            unknown: Some(0),
            space_first: true,
        }
    }

    fn encode(spm: &Spm, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        spm.encode(text, Place::Beginning, &mut tokens);
        tokens
    }

    #[test]
    fn higher_scores_merge_first() {
        let one = spm(&[
            ("\u{2581}", 0.0),
            ("a", 0.0),
            ("b", 0.0),
            ("c", 0.0),
            ("ab", -2.0),
            ("bc", -1.0),
        ]);
        assert_eq!(encode(&one, "abc"), [10, 11, 15]);
        let other = spm(&[
            ("\u{2581}", 0.0),
            ("a", 0.0),
            ("b", 0.0),
            ("c", 0.0),
            ("ab", -1.0),
            ("bc", -2.0),
        ]);
        assert_eq!(encode(&other, "abc"), [10, 14, 13]);
    }

    #[test]
    fn the_leftmost_of_equals_merges_first() {
        let spm = spm(&[("\u{2581}", 0.0), ("a", 0.0), ("aa", -1.0)]);
        assert_eq!(encode(&spm, "aaa"), [10, 12, 11]);
    }

    #[test]
    fn characters_without_a_token_are_spelled_in_bytes() {
        let spm = spm(&[("\u{2581}", 0.0)]);
        assert_eq!(encode(&spm, "é"), [10, 1000 + 0xC3, 1000 + 0xA9]);
    }
}
