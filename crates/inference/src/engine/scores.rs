//! What a request chooses its next tokens from: all logits, or no more of them than it needs.
//!
//! The rows of a step are as long as the vocabulary, and on a card each must be copied to where tokens are chosen.
//! Most requests look at a few of the greatest logits and at nothing else. A model may give them just these, and is
//! free to give all instead.

/// What must be known of the tokens that may follow, to choose among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    /// The logits of all.
    Logits,
    /// So many of the greatest logits, one at least; of equal ones those of the lower tokens.
    Greatest(usize),
}

impl From<Option<usize>> for Needed {
    fn from(greatest: Option<usize>) -> Self {
        greatest.map_or(Self::Logits, Self::Greatest)
    }
}

/// What a step gives a request: a row for each token after which it asked for one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scores {
    /// The logits of all tokens, row after row. Whether they are finite is to be checked.
    Logits(Vec<f32>),
    /// Tokens and their logits, as many a row as were needed, or all; the greatest first, of equal ones the lower
    /// token. All logits of these rows are finite.
    Greatest(Vec<Vec<(u32, f32)>>),
}

/// What one token is chosen from.
#[derive(Debug)]
pub(crate) enum Row<'scores> {
    /// The logits of all tokens.
    Logits(&'scores mut [f32]),
    /// The greatest ones.
    Greatest(&'scores mut Vec<(u32, f32)>),
}

impl Scores {
    /// No rows: nothing was asked for.
    pub(crate) const NONE: Self = Self::Logits(Vec::new());

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Logits(logits) => logits.is_empty(),
            Self::Greatest(rows) => rows.is_empty(),
        }
    }

    /// Each row of `count`.
    pub(super) fn rows(&mut self, count: usize) -> Vec<Row<'_>> {
        match self {
            Self::Logits(logits) => {
                let width = (logits.len() / count.max(1)).max(1);
                logits.chunks_exact_mut(width).map(Row::Logits).collect()
            }
            Self::Greatest(rows) => rows.iter_mut().map(Row::Greatest).collect(),
        }
    }
}

/// Cuts up the logits of a step for parts that asked for so many rows each.
pub(crate) fn deal(logits: Vec<f32>, asked: &[usize]) -> Vec<Scores> {
    let rows: usize = asked.iter().sum();
    if asked.len() == 1 || rows == 0 {
        let none = std::iter::repeat(Scores::NONE);
        let dealt = std::iter::once(Scores::Logits(logits)).chain(none);
        return dealt.take(asked.len()).collect();
    }
    let width = logits.len() / rows;
    let mut rest = logits.as_slice();
    let dealt = asked.iter().map(|count| {
        let (own, after) = rest.split_at(count * width);
        rest = after;
        Scores::Logits(own.to_vec())
    });
    dealt.collect()
}
